"""The log out: records become rows in ClickHouse, and the place reached is a row beside them."""
