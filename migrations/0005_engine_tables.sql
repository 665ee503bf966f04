-- The engines' tables. Operators read them. They refer to operators' rows by name and not by foreign key, because a record of
-- what happened must outlive what it happened to.

CREATE TABLE cdr (
    call_id       text NOT NULL CONSTRAINT call_id_has_1_to_128_characters CHECK (length(call_id) BETWEEN 1 AND 128),
    node          text NOT NULL,
    channel       text NOT NULL DEFAULT '',
    trunk         text NOT NULL DEFAULT '',
    caller        text NOT NULL DEFAULT '',
    called        text NOT NULL DEFAULT '',
    dialled       text NOT NULL DEFAULT '',
    presentation  text NOT NULL DEFAULT 'allowed' CONSTRAINT presentation_is_allowed_restricted_or_unavailable
        CHECK (presentation IN ('allowed', 'restricted', 'unavailable')),
    service       text NOT NULL DEFAULT '',
    subscriber    text NOT NULL DEFAULT '',
    script        text NOT NULL DEFAULT '',
    path          text NOT NULL DEFAULT '',
    revision      bigint NOT NULL DEFAULT 0,
    outcome       text NOT NULL CONSTRAINT outcome_is_known CHECK (outcome IN ('answered', 'busy', 'no_answer', 'unreachable', 'abandoned',
        'released', 'continued', 'fallback', 'node_lost')),
    started_at    timestamptz NOT NULL,
    answered_at   timestamptz,
    ended_at      timestamptz NOT NULL,
    talk_ms       bigint NOT NULL DEFAULT 0 CONSTRAINT talk_ms_is_not_negative CHECK (talk_ms >= 0),
    cause         integer NOT NULL DEFAULT 0 CONSTRAINT cause_is_0_to_127 CHECK (cause BETWEEN 0 AND 127),
    hangup_source text NOT NULL DEFAULT '',
    legs          jsonb NOT NULL DEFAULT '[]' CONSTRAINT legs_are_a_list CHECK (jsonb_typeof(legs) = 'array'),
    recorded_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (call_id, node) -- a node names its own calls: no other node can take the record of one
);
CREATE INDEX cdr_started_at ON cdr (started_at);
CREATE INDEX cdr_service ON cdr (service, started_at);
COMMENT ON TABLE cdr IS 'Call detail records: exactly one per call, written when the call has ended';
COMMENT ON COLUMN cdr.call_id IS 'The call, as its node named it; unique for ever on that node';
COMMENT ON COLUMN cdr.node IS 'The node that carried it';
COMMENT ON COLUMN cdr.channel IS 'The caller''s channel on the node';
COMMENT ON COLUMN cdr.trunk IS 'The trunk it came in on';
COMMENT ON COLUMN cdr.caller IS 'The caller''s number, E.164 digits; empty when unknown';
COMMENT ON COLUMN cdr.called IS 'The called number, E.164 digits';
COMMENT ON COLUMN cdr.dialled IS 'The called number as it was dialled';
COMMENT ON COLUMN cdr.presentation IS 'Whether the caller''s number may be shown: allowed, restricted or unavailable';
COMMENT ON COLUMN cdr.service IS 'The service that answered for the number; empty when there was none';
COMMENT ON COLUMN cdr.subscriber IS 'Who owned the service';
COMMENT ON COLUMN cdr.script IS 'The script it followed';
COMMENT ON COLUMN cdr.path IS 'The steps walked: step:exit step:exit …';
COMMENT ON COLUMN cdr.revision IS 'The config revision of the last decision; 0 when no engine decided';
COMMENT ON COLUMN cdr.outcome IS 'answered, busy, no_answer, unreachable, abandoned (the caller hung up first), released (by the service), continued (left to the node''s dialplan), fallback (no engine was asked) or node_lost';
COMMENT ON COLUMN cdr.started_at IS 'When the call began';
COMMENT ON COLUMN cdr.answered_at IS 'When somebody answered; NULL: nobody did';
COMMENT ON COLUMN cdr.ended_at IS 'When the caller''s leg ended';
COMMENT ON COLUMN cdr.talk_ms IS 'Milliseconds of conversation';
COMMENT ON COLUMN cdr.cause IS 'ITU-T Q.850 cause of the end: 16 normal, 17 busy, 19 no answer; 0 unknown';
COMMENT ON COLUMN cdr.hangup_source IS 'Who ended it, in the node''s words';
COMMENT ON COLUMN cdr.legs IS 'The attempts to reach somebody, in order: trunk, number, status, dial_status, cause, talk_ms';
COMMENT ON COLUMN cdr.recorded_at IS 'When it was stored';

CREATE TABLE call_record (
    call_id  text NOT NULL,
    node     text NOT NULL,
    position integer NOT NULL CONSTRAINT position_is_not_negative CHECK (position >= 0),
    at       timestamptz NOT NULL,
    kind     text NOT NULL,
    text     text NOT NULL,
    PRIMARY KEY (call_id, node, position),
    CONSTRAINT call_of_a_record_must_exist FOREIGN KEY (call_id, node) REFERENCES cdr DEFERRABLE
);
COMMENT ON TABLE call_record IS 'What services recorded about calls (the log building block), stored together with the call''s CDR';
COMMENT ON COLUMN call_record.call_id IS 'The call';
COMMENT ON COLUMN call_record.node IS 'The node that carried it';
COMMENT ON COLUMN call_record.position IS 'Its place among the call''s records, counted from 0';
COMMENT ON COLUMN call_record.at IS 'When it was written';
COMMENT ON COLUMN call_record.kind IS 'What kind of record, as the script names it';
COMMENT ON COLUMN call_record.text IS 'What it says';

CREATE TABLE node_status (
    node          text PRIMARY KEY,
    boot_id       text NOT NULL,
    state         text NOT NULL CONSTRAINT state_is_in_service_or_out_of_service CHECK (state IN ('in_service', 'out_of_service')),
    capacity      integer NOT NULL CONSTRAINT capacity_is_not_negative CHECK (capacity >= 0),
    channels      integer NOT NULL DEFAULT 0 CONSTRAINT channels_are_not_negative CHECK (channels >= 0),
    calls         text[] NOT NULL DEFAULT '{}',
    registered_at timestamptz NOT NULL,
    last_seen     timestamptz NOT NULL
);
COMMENT ON TABLE node_status IS 'What the nodes last said of themselves';
COMMENT ON COLUMN node_status.node IS 'The node';
COMMENT ON COLUMN node_status.boot_id IS 'Different after each start of the node';
COMMENT ON COLUMN node_status.state IS 'in_service or out_of_service, as the engine told the node';
COMMENT ON COLUMN node_status.capacity IS 'Channels it says it may carry';
COMMENT ON COLUMN node_status.channels IS 'Channels in use';
COMMENT ON COLUMN node_status.calls IS 'The calls that are live on it';
COMMENT ON COLUMN node_status.registered_at IS 'When it registered with this boot_id';
COMMENT ON COLUMN node_status.last_seen IS 'When it was last heard of';

CREATE TABLE engine_status (
    engine         text PRIMARY KEY,
    revision       bigint NOT NULL DEFAULT 0,
    revision_since timestamptz,
    error          text,
    started_at     timestamptz NOT NULL,
    last_seen      timestamptz NOT NULL
);
COMMENT ON TABLE engine_status IS 'The engines and the config revision that each serves. Compare with config_revision';
COMMENT ON COLUMN engine_status.engine IS 'Name of the engine';
COMMENT ON COLUMN engine_status.revision IS 'The config revision it serves; 0: none yet';
COMMENT ON COLUMN engine_status.revision_since IS 'Since when it serves it';
COMMENT ON COLUMN engine_status.error IS 'Why it could not take over the newest revision; NULL: all is well';
COMMENT ON COLUMN engine_status.started_at IS 'When the engine started';
COMMENT ON COLUMN engine_status.last_seen IS 'When it last wrote this row';

CREATE TABLE config_problem (
    table_name text NOT NULL,
    row_key    text NOT NULL,
    reason     text NOT NULL,
    since      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (table_name, row_key, reason)
);
COMMENT ON TABLE config_problem IS 'Rows that Postgres accepted and the engines cannot use. What they belong to goes on with its last good version. A row disappears when its cause is mended';
COMMENT ON COLUMN config_problem.table_name IS 'The operators'' table';
COMMENT ON COLUMN config_problem.row_key IS 'The row, as you would name it: freephone.hours';
COMMENT ON COLUMN config_problem.reason IS 'What is wrong with it, and what to do';
COMMENT ON COLUMN config_problem.since IS 'Since when';

CREATE TABLE config_check (
    one      boolean PRIMARY KEY DEFAULT true CONSTRAINT config_check_has_one_row CHECK (one),
    revision bigint NOT NULL
);
COMMENT ON TABLE config_check IS 'One row: the config revision that config_problem tells of, so that an engine that is behind does not overwrite newer findings';
COMMENT ON COLUMN config_check.one IS 'Always true: there is one row';
COMMENT ON COLUMN config_check.revision IS 'The config revision';
INSERT INTO config_check (revision) VALUES (0);

-- Nobody but the owner writes here; roles come with their own migration.
REVOKE ALL ON cdr, call_record, node_status, engine_status, config_problem, config_check, config_revision, config_edit FROM PUBLIC;
