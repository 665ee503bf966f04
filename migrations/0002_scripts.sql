-- The scripts that ship with Ringmaster: the services of ITU-T Q.1211 as steps of service-independent building blocks.
-- A carrier adds its own beside them; these belong to Ringmaster and change with its versions.
--
-- Plain INSERT … VALUES only: the transcripts of testdata/calls read this file too, without a Postgres.

-- Freephone (FPH): the called party pays. By opening hours, by the caller's origin, the rest by percentage; when an office is busy or
-- does not answer, the second office.
INSERT INTO script (script, first_step) VALUES ('freephone', 'hours');

INSERT INTO script_parameter (script, parameter, type, default_value) VALUES
    ('freephone', 'hours', 'calendar', NULL),
    ('freephone', 'offices', 'translation_table', NULL),
    ('freephone', 'elsewhere', 'distribution', NULL),
    ('freephone', 'second_office', 'target', NULL),
    ('freephone', 'ring_seconds', 'integer', '20'),
    ('freephone', 'closed_prompt', 'prompt', 'closed');

INSERT INTO step (script, step, sib, parameters) VALUES
    ('freephone', 'hours', 'compare', '{"condition": "open(hours)"}'),
    ('freephone', 'office', 'translate', '{"table": "${offices}", "key": "${origin}", "into": "office"}'),
    ('freephone', 'share', 'distribute', '{"distribution": "${elsewhere}", "into": "office"}'),
    ('freephone', 'ring', 'bcp', '{"action": "connect", "target": "${office}", "timeout": "${ring_seconds}"}'),
    ('freephone', 'second', 'bcp', '{"action": "connect", "target": "${second_office}", "timeout": "${ring_seconds}"}'),
    ('freephone', 'closed', 'interact', '{"prompts": ["${closed_prompt}"]}'),
    ('freephone', 'goodbye', 'bcp', '{"action": "release", "cause": 16}');

INSERT INTO step_exit (script, step, exit, next_step) VALUES
    ('freephone', 'hours', 'true', 'office'),
    ('freephone', 'hours', 'false', 'closed'),
    ('freephone', 'office', 'found', 'ring'),
    ('freephone', 'office', 'not_found', 'share'),
    ('freephone', 'share', 'done', 'ring'),
    ('freephone', 'ring', 'busy', 'second'),
    ('freephone', 'ring', 'no_answer', 'second'),
    ('freephone', 'ring', 'unreachable', 'second'),
    ('freephone', 'closed', 'done', 'goodbye');

-- Security screening (SEC): an authorisation code before a protected number. So many tries, then an alarm record and release.
INSERT INTO script (script, first_step) VALUES ('security_screening', 'begin');

INSERT INTO script_parameter (script, parameter, type, default_value) VALUES
    ('security_screening', 'codes', 'screening_list', NULL),
    ('security_screening', 'destination', 'target', NULL),
    ('security_screening', 'most_tries', 'integer', '3'),
    ('security_screening', 'least_digits', 'integer', '4'),
    ('security_screening', 'most_digits', 'integer', '12'),
    ('security_screening', 'ring_seconds', 'integer', '30'),
    ('security_screening', 'code_prompt', 'prompt', 'enter_code'),
    ('security_screening', 'wrong_prompt', 'prompt', 'wrong_code'),
    ('security_screening', 'refused_prompt', 'prompt', 'goodbye');

INSERT INTO step (script, step, sib, parameters) VALUES
    ('security_screening', 'begin', 'algorithm', '{"expression": "0", "type": "integer", "into": "tries"}'),
    ('security_screening', 'ask', 'interact', '{"prompts": ["${code_prompt}"], "minimum": "${least_digits}", "maximum": "${most_digits}", "into": "code"}'),
    ('security_screening', 'form', 'verify', '{"value": "${code}", "pattern": "[0-9]+", "minimum": "${least_digits}", "maximum": "${most_digits}"}'),
    ('security_screening', 'known', 'screen', '{"list": "${codes}", "value": "${code}"}'),
    ('security_screening', 'count', 'algorithm', '{"expression": "tries + 1", "type": "integer", "into": "tries"}'),
    ('security_screening', 'enough', 'compare', '{"condition": "tries >= most_tries"}'),
    ('security_screening', 'wrong', 'interact', '{"prompts": ["${wrong_prompt}"]}'),
    ('security_screening', 'alarm', 'log', '{"kind": "security", "text": "${tries} wrong codes from ${caller}"}'),
    ('security_screening', 'refused', 'interact', '{"prompts": ["${refused_prompt}"]}'),
    ('security_screening', 'reject', 'bcp', '{"action": "release", "cause": 21}'),
    ('security_screening', 'admit', 'bcp', '{"action": "connect", "target": "${destination}", "timeout": "${ring_seconds}"}');

INSERT INTO step_exit (script, step, exit, next_step) VALUES
    ('security_screening', 'begin', 'done', 'ask'),
    ('security_screening', 'ask', 'digits', 'form'),
    ('security_screening', 'ask', 'timeout', 'count'),
    ('security_screening', 'form', 'ok', 'known'),
    ('security_screening', 'form', 'wrong', 'count'),
    ('security_screening', 'known', 'in', 'admit'),
    ('security_screening', 'known', 'out', 'count'),
    ('security_screening', 'count', 'done', 'enough'),
    ('security_screening', 'enough', 'true', 'alarm'),
    ('security_screening', 'enough', 'false', 'wrong'),
    ('security_screening', 'wrong', 'done', 'ask'),
    ('security_screening', 'alarm', 'done', 'refused'),
    ('security_screening', 'refused', 'done', 'reject');
