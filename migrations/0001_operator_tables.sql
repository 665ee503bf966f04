-- The operators' tables. They are the user interface of Ringmaster: names and comments are for people, and the name of a
-- constraint reads as the error that it is.
--
-- Nearly every foreign key may be deferred (SET CONSTRAINTS ALL DEFERRED), and those that tie the rows of one script together
-- are checked at COMMIT only, so that rows that belong together can be written in any order.

CREATE DOMAIN label AS text
    CONSTRAINT a_name_has_1_to_40_of_letters_digits_minus_underscore CHECK (VALUE ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$');
COMMENT ON DOMAIN label IS 'Name of something an operator made: 1 to 40 of letters, digits, - and _, starting with a letter or digit';

CREATE DOMAIN variable_name AS text
    CONSTRAINT a_variable_is_a_small_letter_then_small_letters_digits__ CHECK (VALUE ~ '^[a-z][a-z0-9_]{0,39}$');
COMMENT ON DOMAIN variable_name IS 'Name of a variable or parameter, as expressions can use it';

CREATE DOMAIN e164 AS text
    CONSTRAINT e164_number_is_up_to_15_digits_country_code_first_without_plus CHECK (VALUE ~ '^[1-9][0-9]{1,14}$');
COMMENT ON DOMAIN e164 IS 'Number as in ITU-T E.164: country code first, up to 15 digits, no + and no leading 0';

CREATE DOMAIN e164_prefix AS text
    CONSTRAINT e164_prefix_is_up_to_15_digits_country_code_first_without_plus CHECK (VALUE ~ '^([1-9][0-9]{0,14})?$');
COMMENT ON DOMAIN e164_prefix IS 'The first digits of E.164 numbers; empty stands for all of them';

CREATE DOMAIN dialled_prefix AS text
    CONSTRAINT a_dialled_prefix_is_up_to_8_digits CHECK (VALUE ~ '^[0-9]{1,8}$');
COMMENT ON DOMAIN dialled_prefix IS 'What callers dial before a number, such as 0 or 00';

CREATE DOMAIN short_text AS text
    CONSTRAINT text_has_at_most_256_characters_and_none_to_control_a_terminal CHECK (length(VALUE) <= 256 AND VALUE !~ '[[:cntrl:]]');
COMMENT ON DOMAIN short_text IS 'One line of at most 256 characters';

-- Numbers and the network ---------------------------------------------------------------------------------------------

CREATE TABLE numbering_plan (
    numbering_plan       label PRIMARY KEY,
    country_code         text NOT NULL CONSTRAINT country_code_is_1_to_3_digits CHECK (country_code ~ '^[1-9][0-9]{0,2}$'),
    international_prefix dialled_prefix NOT NULL,
    national_prefix      dialled_prefix,
    CONSTRAINT international_and_national_prefix_differ CHECK (international_prefix <> national_prefix)
);
COMMENT ON TABLE numbering_plan IS 'How dialled digits become E.164 numbers. The plan named default holds for trunks that name none';
COMMENT ON COLUMN numbering_plan.numbering_plan IS 'Name of the plan';
COMMENT ON COLUMN numbering_plan.country_code IS 'Country code that replaces the national prefix: 49';
COMMENT ON COLUMN numbering_plan.international_prefix IS 'Digits dialled before a country code: 00';
COMMENT ON COLUMN numbering_plan.national_prefix IS 'Digits dialled before an area code: 0. NULL where there is none';

CREATE TABLE trunk (
    trunk          label PRIMARY KEY,
    numbering_plan label CONSTRAINT numbering_plan_of_a_trunk_must_exist
        REFERENCES numbering_plan ON UPDATE CASCADE DEFERRABLE,
    description    short_text
);
COMMENT ON TABLE trunk IS 'Ways into and out of the nodes: on Asterisk the PJSIP endpoint of the same name';
COMMENT ON COLUMN trunk.trunk IS 'Name of the trunk and of the endpoint';
COMMENT ON COLUMN trunk.numbering_plan IS 'How digits are dialled on it; NULL: the plan named default';
COMMENT ON COLUMN trunk.description IS 'For people';

CREATE TABLE node (
    node             text PRIMARY KEY
        CONSTRAINT node_name_has_1_to_63_of_letters_digits_dot_minus_underscore CHECK (node ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$'),
    secret_sha256    bytea CONSTRAINT secret_sha256_has_32_bytes_use_set_node_secret CHECK (length(secret_sha256) = 32),
    certificate_name text UNIQUE CONSTRAINT certificate_name_is_not_empty CHECK (certificate_name <> ''),
    capacity         integer NOT NULL DEFAULT 110 CONSTRAINT capacity_is_1_to_100000_channels CHECK (capacity BETWEEN 1 AND 100000),
    in_service       boolean NOT NULL DEFAULT true
);
COMMENT ON TABLE node IS 'The Asterisk nodes that may ask. What they report of themselves is in node_status';
COMMENT ON COLUMN node.node IS 'Name of the node: what its agent says it is';
COMMENT ON COLUMN node.secret_sha256 IS 'SHA-256 of the node''s secret for HTTP Basic; set it with SELECT set_node_secret(node, secret). NULL: no secret';
COMMENT ON COLUMN node.certificate_name IS 'Subject common name or DNS name of its client certificate (mutual TLS). NULL: no certificate';
COMMENT ON COLUMN node.capacity IS 'Channels that it may carry';
COMMENT ON COLUMN node.in_service IS 'false: gets no new calls';

CREATE TABLE session_key (
    session_key_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    secret         bytea NOT NULL CONSTRAINT session_key_has_32_bytes_use_rotate_session_key CHECK (length(secret) = 32),
    created_at     timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE session_key IS 'Keys that sign the session tokens of calls. The newest signs, all are accepted. SELECT rotate_session_key() makes a new one';
COMMENT ON COLUMN session_key.session_key_id IS 'Number of the key; it stands in the token';
COMMENT ON COLUMN session_key.secret IS 'The key of HMAC-SHA-256, 32 random bytes';
COMMENT ON COLUMN session_key.created_at IS 'When it was made';

CREATE TABLE prompt (
    prompt      label PRIMARY KEY,
    file        text NOT NULL CONSTRAINT file_is_a_sound_name_without_language_and_extension
        CHECK (length(file) <= 64 AND file ~ '^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$'),
    description short_text
);
COMMENT ON TABLE prompt IS 'Announcements that services may play';
COMMENT ON COLUMN prompt.prompt IS 'Name by which services call it';
COMMENT ON COLUMN prompt.file IS 'Name of the sound on the nodes, without language and extension, as Asterisk''s Playback() takes it: carrier/closed';
COMMENT ON COLUMN prompt.description IS 'What it says';

CREATE TABLE area_prefix (
    prefix e164_prefix PRIMARY KEY,
    area   label NOT NULL
);
COMMENT ON TABLE area_prefix IS 'Where callers are: the longest prefix of the caller''s number decides, and the area is the call''s variable origin';
COMMENT ON COLUMN area_prefix.prefix IS 'First digits of callers'' E.164 numbers: 4930. Empty: every other caller';
COMMENT ON COLUMN area_prefix.area IS 'Name of the area: berlin';

-- Calendars -----------------------------------------------------------------------------------------------------------

CREATE TABLE calendar (
    calendar    label PRIMARY KEY,
    time_zone   text NOT NULL,
    description short_text
);
COMMENT ON TABLE calendar IS 'Opening hours: windows by weekday, minus holidays';
COMMENT ON COLUMN calendar.calendar IS 'Name of the calendar';
COMMENT ON COLUMN calendar.time_zone IS 'IANA time zone in which its hours and days are meant: Europe/Berlin';
COMMENT ON COLUMN calendar.description IS 'For people';

CREATE TABLE calendar_window (
    calendar_window_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    calendar           label NOT NULL CONSTRAINT calendar_of_a_window_must_exist
        REFERENCES calendar ON UPDATE CASCADE ON DELETE CASCADE DEFERRABLE,
    weekdays           text NOT NULL CONSTRAINT weekdays_are_seven_of_0_and_1_monday_first CHECK (weekdays ~ '^[01]{7}$'),
    opens_at           time NOT NULL CONSTRAINT opens_at_is_before_24_00 CHECK (opens_at < '24:00'),
    closes_at          time NOT NULL,
    valid_from         date,
    valid_to           date,
    CONSTRAINT at_least_one_weekday_is_1 CHECK (weekdays <> '0000000'),
    CONSTRAINT valid_from_is_not_after_valid_to CHECK (valid_from <= valid_to),
    CONSTRAINT the_same_window_stands_only_once UNIQUE NULLS NOT DISTINCT (calendar, weekdays, opens_at, closes_at, valid_from, valid_to)
);
COMMENT ON TABLE calendar_window IS 'When a calendar is open';
COMMENT ON COLUMN calendar_window.calendar_window_id IS 'Number of the window';
COMMENT ON COLUMN calendar_window.calendar IS 'The calendar it opens';
COMMENT ON COLUMN calendar_window.weekdays IS 'The days it begins on, Monday first: 1111100 is Monday to Friday';
COMMENT ON COLUMN calendar_window.opens_at IS 'Local time from which it is open';
COMMENT ON COLUMN calendar_window.closes_at IS 'Local time from which it is closed; 24:00 is the end of the day; not after opens_at: runs over midnight';
COMMENT ON COLUMN calendar_window.valid_from IS 'First day on which it holds; NULL: since ever';
COMMENT ON COLUMN calendar_window.valid_to IS 'Last day on which it holds; NULL: for ever';

CREATE TABLE calendar_holiday (
    calendar  label NOT NULL CONSTRAINT calendar_of_a_holiday_must_exist
        REFERENCES calendar ON UPDATE CASCADE ON DELETE CASCADE DEFERRABLE,
    holiday   date NOT NULL,
    name      short_text NOT NULL,
    yearly    boolean NOT NULL DEFAULT false,
    opens_at  time,
    closes_at time,
    PRIMARY KEY (calendar, holiday),
    CONSTRAINT a_holiday_has_both_opens_at_and_closes_at_or_neither CHECK ((opens_at IS NULL) = (closes_at IS NULL)),
    CONSTRAINT a_holiday_opens_before_it_closes CHECK (opens_at < closes_at)
);
CREATE UNIQUE INDEX a_yearly_holiday_stands_once_in_its_calendar ON calendar_holiday (calendar, (extract(month FROM holiday)), (extract(day FROM holiday))) WHERE yearly;
COMMENT ON TABLE calendar_holiday IS 'Days on which a calendar''s windows do not hold';
COMMENT ON COLUMN calendar_holiday.calendar IS 'The calendar it closes';
COMMENT ON COLUMN calendar_holiday.holiday IS 'The day';
COMMENT ON COLUMN calendar_holiday.name IS 'What it is called';
COMMENT ON COLUMN calendar_holiday.yearly IS 'true: on this day and month of every year';
COMMENT ON COLUMN calendar_holiday.opens_at IS 'Open on that day nevertheless, from this local time; NULL: closed all day';
COMMENT ON COLUMN calendar_holiday.closes_at IS 'Until this local time';

-- Lists, tables, distributions ----------------------------------------------------------------------------------------

CREATE TABLE screening_list (
    screening_list label PRIMARY KEY,
    match          text NOT NULL DEFAULT 'exact' CONSTRAINT match_is_exact_or_prefix CHECK (match IN ('exact', 'prefix')),
    description    short_text
);
COMMENT ON TABLE screening_list IS 'Black, white and other lists that services ask whether a value is in';
COMMENT ON COLUMN screening_list.screening_list IS 'Name of the list';
COMMENT ON COLUMN screening_list.match IS 'exact: the whole value is an entry. prefix: it begins with one';
COMMENT ON COLUMN screening_list.description IS 'For people';

CREATE TABLE screening_entry (
    screening_list label NOT NULL CONSTRAINT screening_list_of_an_entry_must_exist
        REFERENCES screening_list ON UPDATE CASCADE ON DELETE CASCADE DEFERRABLE,
    entry          text NOT NULL CONSTRAINT an_entry_has_1_to_64_characters CHECK (length(entry) BETWEEN 1 AND 64 AND entry !~ '[[:cntrl:]]'),
    valid_from     timestamptz,
    valid_to       timestamptz,
    PRIMARY KEY (screening_list, entry),
    CONSTRAINT valid_from_is_before_valid_to CHECK (valid_from < valid_to)
);
COMMENT ON TABLE screening_entry IS 'What stands in a screening list';
COMMENT ON COLUMN screening_entry.screening_list IS 'The list';
COMMENT ON COLUMN screening_entry.entry IS 'The number (E.164 digits), code or word; in a prefix list the first digits';
COMMENT ON COLUMN screening_entry.valid_from IS 'In the list from this instant; NULL: since ever';
COMMENT ON COLUMN screening_entry.valid_to IS 'In the list until just before this instant; NULL: for ever';

CREATE TABLE translation_table (
    translation_table label PRIMARY KEY,
    match             text NOT NULL DEFAULT 'exact' CONSTRAINT match_is_exact_or_prefix CHECK (match IN ('exact', 'prefix')),
    description       short_text
);
COMMENT ON TABLE translation_table IS 'Tables by which services turn one value into another';
COMMENT ON COLUMN translation_table.translation_table IS 'Name of the table';
COMMENT ON COLUMN translation_table.match IS 'exact: the whole value is the key. prefix: the longest key that it begins with wins';
COMMENT ON COLUMN translation_table.description IS 'For people';

CREATE TABLE translation (
    translation_table label NOT NULL CONSTRAINT translation_table_of_a_translation_must_exist
        REFERENCES translation_table ON UPDATE CASCADE ON DELETE CASCADE DEFERRABLE,
    key               text NOT NULL CONSTRAINT a_key_has_at_most_64_characters CHECK (length(key) <= 64 AND key !~ '[[:cntrl:]]'),
    value             short_text NOT NULL,
    trunk             label CONSTRAINT trunk_of_a_translation_must_exist REFERENCES trunk ON UPDATE CASCADE DEFERRABLE,
    PRIMARY KEY (translation_table, key),
    CONSTRAINT with_a_trunk_the_value_is_a_number_of_1_to_32_digits CHECK (trunk IS NULL OR value ~ '^\+?[0-9*#]{1,32}$')
);
COMMENT ON TABLE translation IS 'What stands in a translation table';
COMMENT ON COLUMN translation.translation_table IS 'The table';
COMMENT ON COLUMN translation.key IS 'What is looked up: an area, a short code, a number. Empty in a prefix table: the default';
COMMENT ON COLUMN translation.value IS 'What it becomes; with a trunk, the number to call there';
COMMENT ON COLUMN translation.trunk IS 'Where the value is a number to call. NULL: the value is plain text';

CREATE TABLE distribution (
    distribution label PRIMARY KEY,
    method       text NOT NULL CONSTRAINT method_is_percentage_circular_hierarchical_or_hash
        CHECK (method IN ('percentage', 'circular', 'hierarchical', 'hash')),
    description  short_text
);
COMMENT ON TABLE distribution IS 'Ways to pick among branches';
COMMENT ON COLUMN distribution.distribution IS 'Name of the distribution';
COMMENT ON COLUMN distribution.method IS 'percentage: by weight. circular: one after the other. hierarchical: in order, the next when one is busy. hash: the same caller always gets the same branch, by weight';
COMMENT ON COLUMN distribution.description IS 'For people';

CREATE TABLE distribution_branch (
    distribution label NOT NULL CONSTRAINT distribution_of_a_branch_must_exist
        REFERENCES distribution ON UPDATE CASCADE ON DELETE CASCADE DEFERRABLE,
    position     integer NOT NULL CONSTRAINT position_is_1_to_1000 CHECK (position BETWEEN 1 AND 1000),
    branch       label NOT NULL,
    weight       integer NOT NULL DEFAULT 1 CONSTRAINT weight_is_0_to_1000000 CHECK (weight BETWEEN 0 AND 1000000),
    value        short_text NOT NULL DEFAULT '',
    trunk        label CONSTRAINT trunk_of_a_branch_must_exist REFERENCES trunk ON UPDATE CASCADE DEFERRABLE,
    PRIMARY KEY (distribution, position),
    CONSTRAINT a_branch_stands_once_in_its_distribution UNIQUE (distribution, branch),
    CONSTRAINT with_a_trunk_the_value_is_a_number_of_1_to_32_digits CHECK (trunk IS NULL OR value ~ '^\+?[0-9*#]{1,32}$')
);
COMMENT ON TABLE distribution_branch IS 'The choices of a distribution';
COMMENT ON COLUMN distribution_branch.distribution IS 'The distribution';
COMMENT ON COLUMN distribution_branch.position IS 'Its place, counted from 1';
COMMENT ON COLUMN distribution_branch.branch IS 'Name of the choice; a script may have an exit of that name';
COMMENT ON COLUMN distribution_branch.weight IS 'percentage and hash: its share of the sum of the weights; 0 takes it out. The other methods ignore it';
COMMENT ON COLUMN distribution_branch.value IS 'What is chosen with it; with a trunk, the number to call there';
COMMENT ON COLUMN distribution_branch.trunk IS 'Where the value is a number to call. NULL: the value is plain text';

-- Scripts -------------------------------------------------------------------------------------------------------------

CREATE TABLE script (
    script      label PRIMARY KEY,
    first_step  label NOT NULL,
    description short_text
);
COMMENT ON TABLE script IS 'The logic of a kind of service: named steps, each with named exits to the next';
COMMENT ON COLUMN script.script IS 'Name of the script';
COMMENT ON COLUMN script.first_step IS 'The step a call begins with';
COMMENT ON COLUMN script.description IS 'What it does';

CREATE TABLE step (
    script     label NOT NULL CONSTRAINT script_of_a_step_must_exist REFERENCES script ON UPDATE CASCADE ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    step       label NOT NULL,
    sib        text NOT NULL CONSTRAINT sib_is_one_of_the_building_blocks CHECK (sib IN ('translate', 'screen', 'compare', 'algorithm',
        'distribute', 'limit', 'charge', 'verify', 'interact', 'queue', 'status', 'data', 'log', 'bcp')),
    parameters jsonb NOT NULL DEFAULT '{}' CONSTRAINT parameters_are_a_json_object_of_at_most_16_kilobytes
        CHECK (jsonb_typeof(parameters) = 'object' AND length(parameters::text) <= 16384),
    PRIMARY KEY (script, step)
);
COMMENT ON TABLE step IS 'The steps of scripts. Each is one service-independent building block (SIB, ITU-T Q.1213)';
COMMENT ON COLUMN step.script IS 'The script';
COMMENT ON COLUMN step.step IS 'Name of the step';
COMMENT ON COLUMN step.sib IS 'The building block: translate, screen, compare, algorithm, distribute, limit, charge, verify, interact, queue, status, data, log or bcp';
COMMENT ON COLUMN step.parameters IS 'What the building block is told; in texts ${name} stands for a variable of the call or a parameter of the service';

ALTER TABLE script ADD CONSTRAINT first_step_of_a_script_must_exist
    FOREIGN KEY (script, first_step) REFERENCES step (script, step) DEFERRABLE INITIALLY DEFERRED;

CREATE TABLE step_exit (
    script    label NOT NULL,
    step      label NOT NULL,
    exit      text NOT NULL CONSTRAINT an_exit_is_a_name_or_the_keys_of_a_menu CHECK (exit ~ '^([A-Za-z0-9][A-Za-z0-9_-]{0,39}|[0-9*#]{1,32})$'),
    next_step label NOT NULL,
    PRIMARY KEY (script, step, exit),
    CONSTRAINT step_of_an_exit_must_exist FOREIGN KEY (script, step) REFERENCES step ON UPDATE CASCADE ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT next_step_of_an_exit_must_exist FOREIGN KEY (script, next_step) REFERENCES step (script, step) DEFERRABLE INITIALLY DEFERRED
);
COMMENT ON TABLE step_exit IS 'Where a call goes on when a step has ended';
COMMENT ON COLUMN step_exit.script IS 'The script';
COMMENT ON COLUMN step_exit.step IS 'The step that ended';
COMMENT ON COLUMN step_exit.exit IS 'How it ended: an exit of its building block, the name of a branch, or the keys that were dialled in a menu';
COMMENT ON COLUMN step_exit.next_step IS 'The step that follows';

CREATE TABLE script_parameter (
    script        label NOT NULL CONSTRAINT script_of_a_parameter_must_exist REFERENCES script ON UPDATE CASCADE ON DELETE CASCADE DEFERRABLE,
    parameter     variable_name NOT NULL,
    type          text NOT NULL CONSTRAINT type_of_a_parameter_is_known CHECK (type IN ('calendar', 'distribution', 'integer', 'number',
        'prompt', 'screening_list', 'target', 'text', 'translation_table', 'trunk')),
    default_value short_text,
    description   short_text,
    PRIMARY KEY (script, parameter)
);
COMMENT ON TABLE script_parameter IS 'What a service of a script may or must be given';
COMMENT ON COLUMN script_parameter.script IS 'The script';
COMMENT ON COLUMN script_parameter.parameter IS 'Name of the parameter';
COMMENT ON COLUMN script_parameter.type IS 'calendar, distribution, prompt, screening_list, translation_table, trunk: the name of a row there. target: number@trunk, several with commas. integer, number, text: as they are';
COMMENT ON COLUMN script_parameter.default_value IS 'Taken where the service gives none; NULL: every service must give it';
COMMENT ON COLUMN script_parameter.description IS 'What it means';

-- Services ------------------------------------------------------------------------------------------------------------

CREATE TABLE subscriber (
    subscriber label PRIMARY KEY,
    name       short_text
);
COMMENT ON TABLE subscriber IS 'The customers who own services';
COMMENT ON COLUMN subscriber.subscriber IS 'Short name of the customer';
COMMENT ON COLUMN subscriber.name IS 'Full name, for people';

CREATE TABLE service (
    service     label PRIMARY KEY,
    subscriber  label NOT NULL CONSTRAINT subscriber_of_a_service_must_exist REFERENCES subscriber ON UPDATE CASCADE DEFERRABLE,
    script      label NOT NULL CONSTRAINT script_of_a_service_must_exist REFERENCES script ON UPDATE CASCADE DEFERRABLE,
    language    text NOT NULL DEFAULT 'en' CONSTRAINT language_is_like_en_or_pt_BR CHECK (language ~ '^[a-z]{2,3}(_[A-Z]{2})?$'),
    active      boolean NOT NULL DEFAULT true,
    description short_text
);
CREATE INDEX service_script ON service (script);
CREATE INDEX service_subscriber ON service (subscriber);
COMMENT ON TABLE service IS 'What customers bought: a script with their own parameters, reached by service numbers';
COMMENT ON COLUMN service.service IS 'Name of the service';
COMMENT ON COLUMN service.subscriber IS 'The customer who owns it';
COMMENT ON COLUMN service.script IS 'The logic it follows';
COMMENT ON COLUMN service.language IS 'Language of its announcements, in Asterisk''s spelling: en, de, pt_BR';
COMMENT ON COLUMN service.active IS 'false: callers are told that it is out of service (Q.850 cause 31)';
COMMENT ON COLUMN service.description IS 'For people';

CREATE TABLE service_parameter (
    service   label NOT NULL CONSTRAINT service_of_a_parameter_must_exist REFERENCES service ON UPDATE CASCADE ON DELETE CASCADE DEFERRABLE,
    parameter variable_name NOT NULL,
    value     short_text NOT NULL,
    PRIMARY KEY (service, parameter)
);
CREATE INDEX service_parameter_value ON service_parameter (value);
COMMENT ON TABLE service_parameter IS 'The parameters that a service gives its script';
COMMENT ON COLUMN service_parameter.service IS 'The service';
COMMENT ON COLUMN service_parameter.parameter IS 'Name of the parameter, one of the script''s (script_parameter)';
COMMENT ON COLUMN service_parameter.value IS 'Its value, of the type that the script asks for';

CREATE TABLE service_number (
    number  e164_prefix NOT NULL,
    match   text NOT NULL DEFAULT 'exact' CONSTRAINT match_is_exact_or_prefix CHECK (match IN ('exact', 'prefix')),
    service label NOT NULL CONSTRAINT service_of_a_number_must_exist REFERENCES service ON UPDATE CASCADE DEFERRABLE,
    PRIMARY KEY (number, match),
    CONSTRAINT an_exact_number_has_at_least_2_digits CHECK (match = 'prefix' OR length(number) >= 2)
);
CREATE INDEX service_number_service ON service_number (service);
COMMENT ON TABLE service_number IS 'Which service answers a called number. An exact number wins over any prefix, a longer prefix over a shorter';
COMMENT ON COLUMN service_number.number IS 'E.164 number, country code first: 498001234567; with match prefix its first digits, empty for every other number';
COMMENT ON COLUMN service_number.match IS 'exact: this number. prefix: all numbers that begin so';
COMMENT ON COLUMN service_number.service IS 'The service';

CREATE INDEX translation_trunk ON translation (trunk) WHERE trunk IS NOT NULL;
CREATE INDEX distribution_branch_trunk ON distribution_branch (trunk) WHERE trunk IS NOT NULL;
