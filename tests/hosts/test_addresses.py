"""Addresses that name several servers: how they are read, and what is shown of them."""

import pytest

from asgi_sessions import ConfigurationError, SessionSettings
from asgi_sessions.settings import policy_summary
from asgi_sessions.settings.several_hosts import Host, hosts_of, parse_url
from asgi_sessions.store.address import parse_database_url
from asgi_sessions.store.place import Place

SECRET = "0123456789abcdef0123456789abcdef-first"
CANARY = "hunter2-canary"
MYSQL, POSTGRESQL = "mysql+asyncmy", "postgresql+asyncpg"


@pytest.mark.parametrize("scheme", [MYSQL, "mariadb+asyncmy", POSTGRESQL])
@pytest.mark.parametrize(
    "rest",
    [
        "app:pw@db1:3307,db2:3308/shop",
        "app:pw@/shop?host=db1:3307&host=db2:3308",
        "app:pw@/shop?host=db1:3307,db2:3308",
        "app:pw@/shop?host=db1,db2&port=3307,3308",
        "app:pw@/shop?host=db1&host=db2&port=3307&port=3308",
    ],
)
def test_hosts_are_read_in_each_form_that_people_write(scheme: str, rest: str) -> None:
    url = parse_database_url(f"{scheme}://{rest}")
    assert hosts_of(url) == (Host("db1", 3307), Host("db2", 3308))
    assert (url.host, url.port, url.username, url.password, url.database) == (None, None, "app", "pw", "shop")


@pytest.mark.parametrize(("scheme", "usual"), [(MYSQL, 3306), (POSTGRESQL, 5432)])
@pytest.mark.parametrize("hosts", ["db1,db2", "db1,db2:{usual}", "db1:{usual},db2"])
def test_a_host_without_a_port_has_the_usual_one(scheme: str, usual: int, hosts: str) -> None:
    url = parse_database_url(f"{scheme}://app@{hosts.format(usual=usual)}/shop")
    assert hosts_of(url) == (Host("db1", usual), Host("db2", usual))


def test_one_port_is_that_of_all_hosts() -> None:
    url = parse_database_url(f"{POSTGRESQL}://app@/shop?host=db1,db2,db3&port=6432")
    assert [host.port for host in hosts_of(url)] == [6432] * 3


def test_other_parameters_and_addresses_of_version_6_are_kept() -> None:
    url = parse_database_url(f"{MYSQL}://a,b:p,w@[fe80::1]:3307,[::1],10.0.0.3/shop?charset=utf8mb4&connect_timeout=3")
    assert hosts_of(url) == (Host("fe80::1", 3307), Host("::1", 3306), Host("10.0.0.3", 3306))
    assert (url.username, url.password) == ("a,b", "p,w")
    assert {name: url.query[name] for name in ("charset", "connect_timeout")} == {
        "charset": "utf8mb4",
        "connect_timeout": "3",
    }


def test_an_address_that_was_read_is_read_again_as_the_same() -> None:
    url = parse_database_url(f"{MYSQL}://app:{CANARY}@db1,[::1]:3307/shop")
    assert parse_database_url(url) == url
    assert parse_url(url.render_as_string(hide_password=False)) == url


@pytest.mark.parametrize(
    ("scheme", "rest"),
    [
        (MYSQL, "app:pw@db1:3307/shop"),
        (MYSQL, "app:p,w@db1:3307/shop"),
        (MYSQL, "app@/shop?unix_socket=/run/a,b.sock"),
        (POSTGRESQL, "app@/shop?host=/var/run/postgresql"),
        (POSTGRESQL, "/shop"),
        ("sqlite+aiosqlite", "//srv/a,b.db"),
        ("sqlite+aiosqlite", "/a,b.db"),
    ],
)
def test_an_address_of_one_server_names_no_hosts(scheme: str, rest: str) -> None:
    assert hosts_of(parse_url(f"{scheme}://{rest}")) == ()


@pytest.mark.parametrize("scheme", [MYSQL, POSTGRESQL])
@pytest.mark.parametrize(
    ("rest", "said"),
    [
        (f"app:{CANARY}@db1,,db2/shop", "host:port,host:port"),
        (f"app:{CANARY}@db1,/shop", "host:port,host:port"),
        (f"app:{CANARY}@db1:,db2/shop", "host:port,host:port"),
        (f"app:{CANARY}@db1:33a,db2/shop", "host:port,host:port"),
        (f"app:{CANARY}@[::1,db2/shop", "host:port,host:port"),
        (f"app:{CANARY}@db1:0,db2/shop", "a port from 1 to 65535"),
        (f"app:{CANARY}@db1,db2:65536/shop", "a port from 1 to 65535"),
        (f"app:{CANARY}@db1,db2/shop?host=db3", "once"),
        (f"app:{CANARY}@/shop?host=db1,db2,db3&port=1,2", "one port"),
        (f"app:{CANARY}@/shop?host=/run/a,/run/b", "host:port,host:port"),
    ],
)
def test_what_names_no_hosts_is_refused_without_a_word_of_the_address(scheme: str, rest: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as of_the_store:
        parse_database_url(f"{scheme}://{rest}")
    with pytest.raises(ConfigurationError, match=said) as of_the_settings:
        SessionSettings(database_url=f"{scheme}://{rest}", secret_key=SECRET)
    for error in (of_the_store.value, of_the_settings.value):
        assert str(error).count("database_url: ") == 1
        assert CANARY not in str(error)


@pytest.mark.parametrize("password", [f"1,{CANARY}/x", f"1/{CANARY}", f"1/{CANARY},2"])
def test_a_password_that_reads_as_hosts_is_none(password: str) -> None:
    url = parse_database_url(f"{MYSQL}://app:{password}@db1,db2/shop")
    assert (url.password, hosts_of(url)) == (password, (Host("db1", 3306), Host("db2", 3306)))
    url = parse_database_url(f"{MYSQL}://app:{password}@db1/shop")
    assert (url.password, url.host, hosts_of(url)) == (password, "db1", ())


def test_hosts_are_shown_and_nothing_else() -> None:
    text = f"{MYSQL}://app:{CANARY}@db1,[::1]:3307/shop?charset=utf8mb4"
    assert str(Place.of(parse_database_url(text))) == "server db1:3306,[::1]:3307, user app, database shop"
    summary = policy_summary(SessionSettings(database_url=text, secret_key=SECRET))
    assert summary["database_url"] == f"{MYSQL}://db1:3306,[::1]:3307/shop"
