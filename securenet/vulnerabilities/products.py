"""Which products the scanner can tell, and what the feeds call them. Only data about these are kept at an import.

A new product is one line here; files imported before have to be imported again for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final


@dataclass(frozen=True, slots=True)
class Product:
    """A server program.

    Attributes:
        name: as people call it.
        told_as: what it calls itself in greetings, in lower case.
        cpes: ``vendor:product`` of its CPE names (NISTIR 7695); vendors change.
        packages: source packages of Debian and Ubuntu, with the epoch of their versions ("" for none).
    """

    name: str
    told_as: tuple[str, ...]
    cpes: tuple[str, ...]
    packages: tuple[tuple[str, str], ...] = ()


PRODUCTS: Final = (
    Product("OpenSSH", ("openssh",), ("openbsd:openssh",), (("openssh", "1"),)),
    Product("Dropbear SSH", ("dropbear",), ("dropbear_ssh_project:dropbear_ssh",), (("dropbear", ""),)),
    Product("nginx", ("nginx",), ("f5:nginx", "nginx:nginx", "f5:nginx_open_source"), (("nginx", ""),)),
    Product("Apache HTTP Server", ("apache", "apache httpd"), ("apache:http_server",), (("apache2", ""),)),
    Product("Apache Tomcat", ("apache-coyote", "tomcat", "apache tomcat"), ("apache:tomcat",), (("tomcat10", ""),)),
    Product("lighttpd", ("lighttpd",), ("lighttpd:lighttpd",), (("lighttpd", ""),)),
    Product("Microsoft IIS", ("microsoft-iis", "microsoft iis httpd"), ("microsoft:internet_information_services",)),
    Product("Caddy", ("caddy",), ("caddyserver:caddy",), (("caddy", ""),)),
    Product("Jetty", ("jetty",), ("eclipse:jetty",), (("jetty9", ""),)),
    Product("Redis", ("redis", "redis key-value store"), ("redis:redis", "redislabs:redis"), (("redis", "5"),)),
    Product("Valkey", ("valkey",), ("lfprojects:valkey",), (("valkey", ""),)),
    Product("memcached", ("memcached",), ("memcached:memcached",), (("memcached", ""),)),
    Product("PostgreSQL", ("postgresql", "postgresql db"), ("postgresql:postgresql",)),
    Product("MySQL", ("mysql",), ("oracle:mysql", "oracle:mysql_server"), (("mysql-8.0", ""), ("mysql-8.4", ""))),
    Product("MariaDB", ("mariadb",), ("mariadb:mariadb",), (("mariadb", "1"),)),
    Product("Exim", ("exim", "exim smtpd"), ("exim:exim",), (("exim4", ""),)),
    Product("Postfix", ("postfix", "postfix smtpd"), ("postfix:postfix",), (("postfix", ""),)),
    Product("Sendmail", ("sendmail",), ("sendmail:sendmail", "proofpoint:sendmail"), (("sendmail", ""),)),
    Product("ProFTPD", ("proftpd",), ("proftpd:proftpd",), (("proftpd-dfsg", ""),)),
    Product("vsftpd", ("vsftpd",), ("vsftpd_project:vsftpd", "beasts:vsftpd"), (("vsftpd", ""),)),
    Product("Pure-FTPd", ("pure-ftpd",), ("pureftpd:pure-ftpd",), (("pure-ftpd", ""),)),
    Product("FileZilla Server", ("filezilla", "filezilla server"), ("filezilla-project:filezilla_server",)),
    Product("BIND", ("bind", "isc bind"), ("isc:bind",), (("bind9", "1"),)),
    Product("dnsmasq", ("dnsmasq",), ("thekelleys:dnsmasq",), (("dnsmasq", ""),)),
    Product("Unbound", ("unbound",), ("nlnetlabs:unbound",), (("unbound", ""),)),
    Product("PowerDNS", ("powerdns",), ("powerdns:authoritative", "powerdns:authoritative_server"), (("pdns", ""),)),
    Product("RabbitMQ", ("rabbitmq",), ("vmware:rabbitmq", "broadcom:rabbitmq_server"), (("rabbitmq-server", ""),)),
)  # fmt: skip


def product_called(name: str) -> Product | None:
    """The product that calls itself so in its greeting; None for one that is not known."""
    return _by_told_name().get(name.strip().lower())


@cache
def known_cpes() -> frozenset[str]:
    """``vendor:product`` of all products."""
    return frozenset(cpe for product in PRODUCTS for cpe in product.cpes)


@cache
def known_packages() -> frozenset[str]:
    """Source packages of all products."""
    return frozenset(name for product in PRODUCTS for name, _ in product.packages)


@cache
def _by_told_name() -> dict[str, Product]:
    return {told: product for product in PRODUCTS for told in product.told_as}
