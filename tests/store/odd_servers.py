"""Servers whose sessions begin as no application would want them: each setting is one that some hoster or DBA gives."""

from tests.servers import MariaDB, PostgreSQL

INIT_CONNECT = (
    "autocommit = 0",
    "character_set_client = latin1",
    "character_set_connection = latin1",
    "character_set_results = latin1",
    "collation_connection = latin1_german2_ci",
    "sql_big_selects = 0",
    "max_join_size = 100000",
    "sql_safe_updates = 1",
    "sql_select_limit = 3",
    "tx_read_only = 1",
    "unique_checks = 0",
    "time_zone = '+05:45'",
    "sql_auto_is_null = 1",
)
"""Sent for everybody who is no administrator."""

ROLE = {
    "backslash_quote": "off",
    "bytea_output": "escape",
    "DateStyle": "'SQL, DMY'",
    "default_transaction_isolation": "serializable",
    "default_toast_compression": "pglz",
    "IntervalStyle": "sql_standard",
    "lock_timeout": "3000",
    "plan_cache_mode": "force_generic_plan",
    "row_security": "off",
    "search_path": "own, public",
    "standard_conforming_strings": "off",
    "statement_timeout": "4000",
    "TimeZone": "'Asia/Kathmandu'",
    "transform_null_equals": "on",
}


class OddMariaDB(MariaDB):
    """Every session begins with `INIT_CONNECT` and odd modes; the user is ``app``, without a password."""

    def url(self, database: str) -> str:
        return f"mysql+asyncmy://app@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> None:
        super().create(database)
        self.sql(f"CREATE USER IF NOT EXISTS app@'127.0.0.1'; GRANT ALL ON {database}.* TO app@'127.0.0.1'")

    def _command(self) -> list[str]:
        modes = "ORACLE,NO_BACKSLASH_ESCAPES,EMPTY_STRING_IS_NULL,HIGH_NOT_PRECEDENCE,PAD_CHAR_TO_FULL_LENGTH"
        return [
            *super()._command(),
            f"--sql-mode={modes}",
            f"--init-connect=SET SESSION {', '.join(INIT_CONNECT)}",
            "--character-set-server=latin1",
            "--collation-server=latin1_german2_ci",
            "--default-storage-engine=MyISAM",
            "--transaction-isolation=SERIALIZABLE",
            "--lower-case-table-names=1",
        ]


class OddPostgreSQL(PostgreSQL):
    """Sessions of the user ``app``, without a password, begin with `ROLE`, and may make tables in one schema."""

    def url(self, database: str) -> str:
        return f"postgresql+asyncpg://app@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> None:
        if not self.sql("SELECT 1 FROM pg_roles WHERE rolname = 'app'"):
            self.sql("CREATE ROLE app LOGIN")
            for name, value in ROLE.items():
                self.sql(f"ALTER ROLE app SET {name} = {value}")
        super().create(database)
        self.sql("REVOKE ALL ON SCHEMA public FROM PUBLIC; CREATE SCHEMA own AUTHORIZATION app", database)
