"""How SecureNet's own ways show in the OpenAPI description: lengths of bodies, and what filters take."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from drf_spectacular.extensions import OpenApiSerializerFieldExtension

from perf.api.schema import PolicySchema
from securenet.logs.filters import AddressFilter as EventAddressFilter
from securenet.network.filters import AddressFilter
from securenet.network.validators import canonical_address, normalised_network, normalised_ports

Schema = dict[str, Any]

ADDRESS: Schema = {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}], "maxLength": 45}
_PORTS = r"[0-9]{1,5}( *- *[0-9]{1,5})?"
# What is sent is read by these functions.
GRAMMARS: dict[Any, Schema] = {
    canonical_address: ADDRESS,
    normalised_network: {"type": "string", "pattern": r"^ *[0-9A-Fa-f:.]+(/[0-9]{1,3})? *$", "maxLength": 49},
    normalised_ports: {"type": "string", "pattern": rf"^ *{_PORTS}( *, *{_PORTS})* *$", "maxLength": 8192},
}


class SecureNetSchema(PolicySchema):
    """Describes the views of SecureNet."""

    # A body without a length is refused by a middleware, whether anybody would have read it or not.
    everywhere: ClassVar[tuple[int, ...]] = (*PolicySchema.everywhere, 411)

    def _get_filter_parameters(self) -> list[Schema]:
        """The filters with their bounds and choices; drf-spectacular would take them from the columns behind them."""
        parameters: list[Schema] = super()._get_filter_parameters()
        filterset = getattr(self.view, "filterset_class", None)
        if filterset is not None:
            for parameter in parameters:
                if schema := _schema_of(filterset.base_filters.get(parameter["name"])):
                    parameter["schema"] = schema
        return parameters


class NormalisedFields(OpenApiSerializerFieldExtension):
    """What has several spellings in a request; answers have the one that is stored."""

    target_class = "securenet.network.serializers.NormalisedField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        """The form by the function that reads the field."""
        return dict(GRAMMARS[self.target.normalise]) if direction == "request" else {"type": "string"}


class Targets(OpenApiSerializerFieldExtension):
    """What may be scanned."""

    target_class = "securenet.security.scan_params.TargetField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Schema:
        """Address, block, host name or asset."""
        return {"type": "string", "pattern": r"^[A-Za-z0-9._:/-]+$", "maxLength": 255}


def _schema_of(filter_: django_filters.Filter | None) -> Schema | None:
    """What the filter takes, where its column does not tell."""
    match filter_:
        case django_filters.NumberFilter(extra=extra):
            bounds = {"minimum": extra.get("min_value"), "maximum": extra.get("max_value")}
            known = {name: bound for name, bound in bounds.items() if bound is not None}
            return {"type": "integer" if extra.get("decimal_places") == 0 else "number", **known}
        case AddressFilter() | EventAddressFilter():
            return ADDRESS
        case django_filters.TypedChoiceFilter(extra=extra):
            return {"type": "string", "enum": [value for value, _ in extra["choices"]]}
        case _:
            return None
