-- Every table that the sink fills from structs has a column for the fields that this code does not know, as those of
-- facts with an `extra` of their own had from the beginning. Rows of `extra_fields`, where they stood before, stay there:
-- an update cannot reach a column that an identity is made of, and a drop would fail a second migrator.

ALTER TABLE tapefold.annotations
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.asof_policies
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.bars_1m
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.bars_1m_journal
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.beats
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.books
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.climate_years
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.coverage
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.curated_tws_1m_bars
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.dead
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.documents
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.forecast_runs
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.gaps
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.market_terms
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.mos_asof
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.mos_asof_journal
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.raw_tws_bars
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.settlement_labels
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.settlements
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.tws_errors
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.tws_outages
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.tws_tellings
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.tws_units
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.webhook_events
    ADD COLUMN IF NOT EXISTS extra String DEFAULT '{}' COMMENT 'fields that no other column names, JSON as sent' CODEC(ZSTD(3));

ALTER TABLE tapefold.extra_fields
    MODIFY COMMENT 'Unknown fields of records that the sink took before migration 0090; nothing is written here any more';
