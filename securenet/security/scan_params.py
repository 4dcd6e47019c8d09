"""The parameters of a security scan, as clients send them and the job keeps them."""

from __future__ import annotations

from typing import Final

from rest_framework import serializers

from perf.api.fields import Text
from perf.api.serializers import StrictSerializer
from securenet.network.serializers import NormalisedField
from securenet.network.validators import normalised_ports
from securenet.security.asset_targets import check_asset, is_asset
from securenet.security.scanner import Refusal, TargetRefused, parse_target

MAX_TARGETS: Final = 256
# The well-known ports, and above them what databases, queues, caches, orchestration and web servers use by default.
DEFAULT_PORTS: Final = normalised_ports(
    "1-1024,1433,1521,1883,2049,2181,2375-2377,2379-2380,3000,3128,3268-3269,3306,3389,4369,4444,5000,5222,5432,5601,"
    "5671-5672,5900-5901,5984-5986,6379-6380,6443,6667,7001,7474,8000-8001,8008,8080-8081,8086,8088,8443,8500,8883,"
    "8888,9000,9042,9090-9093,9100,9200,9300,9418,10000,10250,10255,11211,15672,16379,25565,27017-27019,50000,50070"
)


class TargetField(Text):
    """An address, a block, a host name or a stored asset. Whether it may be scanned is decided later."""

    def to_internal_value(self, data: object) -> str:
        text = super().to_internal_value(data)
        try:
            if is_asset(text):
                check_asset(text)
            else:
                parse_target(text)
        except TargetRefused as refused:
            if refused.reason is Refusal.INVALID:
                raise serializers.ValidationError(refused.detail, code="invalid_target") from refused
        return text


class ScanParams(StrictSerializer):
    """``{"targets": ["10.0.0.0/28", "host", "asset:12"], "ports": "1-1024,8080"}``."""

    targets = serializers.ListField(
        child=TargetField(max_length=255),
        min_length=1,
        max_length=MAX_TARGETS,
        help_text="Addresses, CIDR blocks, host names, and stored assets (asset:12); all in authorised networks.",
    )
    ports = NormalisedField(
        normalised_ports,
        default=DEFAULT_PORTS,
        max_length=8192,
        help_text="TCP ports, such as 1-1024,8080. By default the well-known ports and some 80 usual ones above.",
    )
