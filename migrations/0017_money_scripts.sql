-- The shipped scripts that charge. Plain INSERT … VALUES only: the transcripts of testdata/calls read this file too, without a Postgres.

-- Account card calling (ACC): card number and PIN, the balance is said, then one call after the other until the money, the patience or the redirect budget is used up. The call is
-- rated by the number dialled and cut when what was granted is used up.
INSERT INTO script (script, first_step) VALUES ('account_card', 'begin');

INSERT INTO script_parameter (script, parameter, type, default_value) VALUES
    ('account_card', 'tariff', 'tariff', NULL),
    ('account_card', 'way_out', 'trunk', NULL),
    ('account_card', 'barred', 'screening_list', NULL),
    ('account_card', 'most_tries', 'integer', '3'),
    ('account_card', 'ring_seconds', 'integer', '40'),
    ('account_card', 'warning_seconds', 'integer', '30'),
    ('account_card', 'card_prompt', 'prompt', 'enter_card'),
    ('account_card', 'pin_prompt', 'prompt', 'enter_code'),
    ('account_card', 'wrong_prompt', 'prompt', 'wrong_code'),
    ('account_card', 'balance_prompt', 'prompt', 'balance_is'),
    ('account_card', 'number_prompt', 'prompt', 'enter_number'),
    ('account_card', 'barred_prompt', 'prompt', 'not_allowed'),
    ('account_card', 'money_prompt', 'prompt', 'not_enough'),
    ('account_card', 'sorry_prompt', 'prompt', 'try_later'),
    ('account_card', 'goodbye_prompt', 'prompt', 'goodbye');

INSERT INTO step (script, step, sib, parameters) VALUES
    ('account_card', 'begin', 'algorithm', '{"expression": "0", "type": "integer", "into": "tries"}'),
    ('account_card', 'card', 'interact', '{"prompts": ["${card_prompt}"], "minimum": 4, "maximum": 20, "into": "card"}'),
    ('account_card', 'pin', 'interact', '{"prompts": ["${pin_prompt}"], "minimum": 4, "maximum": 12, "into": "pin"}'),
    ('account_card', 'check', 'verify', '{"card": "${card}", "pin": "${pin}", "into": "account", "balance_into": "balance"}'),
    ('account_card', 'count', 'algorithm', '{"expression": "tries + 1", "type": "integer", "into": "tries"}'),
    ('account_card', 'enough', 'compare', '{"condition": "tries >= most_tries"}'),
    ('account_card', 'wrong', 'interact', '{"prompts": ["${wrong_prompt}"]}'),
    ('account_card', 'alarm', 'log', '{"kind": "card", "text": "${tries} wrong cards or PINs from ${caller}"}'),
    ('account_card', 'say', 'interact', '{"prompts": ["${balance_prompt}"], "say": "${balance}"}'),
    ('account_card', 'number', 'interact', '{"prompts": ["${number_prompt}"], "minimum": 3, "maximum": 20, "into": "destination", "e164": true, "first_timeout": 10}'),
    ('account_card', 'screen', 'screen', '{"list": "${barred}", "value": "${destination}"}'),
    ('account_card', 'no', 'interact', '{"prompts": ["${barred_prompt}"]}'),
    ('account_card', 'rate', 'charge', '{"tariff": "${tariff}", "number": "${destination}", "account": "${account}"}'),
    ('account_card', 'poor', 'interact', '{"prompts": ["${money_prompt}"]}'),
    ('account_card', 'sorry', 'interact', '{"prompts": ["${sorry_prompt}"]}'),
    ('account_card', 'ring', 'bcp', '{"action": "connect", "target": "${destination}@${way_out}", "timeout": "${ring_seconds}", "warning_seconds": "${warning_seconds}"}'),
    ('account_card', 'goodbye', 'interact', '{"prompts": ["${goodbye_prompt}"]}'),
    ('account_card', 'end', 'bcp', '{"action": "release", "cause": 16}'),
    ('account_card', 'reject', 'bcp', '{"action": "release", "cause": 21}');

INSERT INTO step_exit (script, step, exit, next_step) VALUES
    ('account_card', 'begin', 'done', 'card'),
    ('account_card', 'card', 'digits', 'pin'),
    ('account_card', 'card', 'timeout', 'count'),
    ('account_card', 'pin', 'digits', 'check'),
    ('account_card', 'pin', 'timeout', 'count'),
    ('account_card', 'check', 'ok', 'say'),
    ('account_card', 'check', 'wrong', 'count'),
    ('account_card', 'check', 'locked', 'alarm'),
    ('account_card', 'check', 'unavailable', 'sorry'),
    ('account_card', 'count', 'done', 'enough'),
    ('account_card', 'enough', 'true', 'alarm'),
    ('account_card', 'enough', 'false', 'wrong'),
    ('account_card', 'wrong', 'done', 'card'),
    ('account_card', 'alarm', 'done', 'reject'),
    ('account_card', 'say', 'done', 'number'),
    ('account_card', 'number', 'digits', 'screen'),
    ('account_card', 'number', 'timeout', 'goodbye'),
    ('account_card', 'screen', 'in', 'no'),
    ('account_card', 'screen', 'out', 'rate'),
    ('account_card', 'no', 'done', 'number'),
    ('account_card', 'rate', 'granted', 'ring'),
    ('account_card', 'rate', 'refused', 'poor'),
    ('account_card', 'rate', 'unavailable', 'sorry'),
    ('account_card', 'poor', 'done', 'goodbye'),
    ('account_card', 'sorry', 'done', 'reject'),
    ('account_card', 'ring', 'answer', 'number'),
    ('account_card', 'ring', 'busy', 'number'),
    ('account_card', 'ring', 'no_answer', 'number'),
    ('account_card', 'ring', 'unreachable', 'number'),
    ('account_card', 'goodbye', 'done', 'end');

-- Premium rate (PRM): the price is announced, the caller pays, and the provider is credited with a share.
INSERT INTO script (script, first_step) VALUES ('premium_rate', 'hours');

INSERT INTO script_parameter (script, parameter, type, default_value) VALUES
    ('premium_rate', 'hours', 'calendar', NULL),
    ('premium_rate', 'tariff', 'tariff', NULL),
    ('premium_rate', 'provider', 'account', NULL),
    ('premium_rate', 'provider_per_mille', 'integer', '600'),
    ('premium_rate', 'destination', 'target', NULL),
    ('premium_rate', 'most_seconds', 'integer', '3600'),
    ('premium_rate', 'ring_seconds', 'integer', '30'),
    ('premium_rate', 'price_prompt', 'prompt', NULL),
    ('premium_rate', 'closed_prompt', 'prompt', 'closed'),
    ('premium_rate', 'refused_prompt', 'prompt', 'not_enough');

INSERT INTO step (script, step, sib, parameters) VALUES
    ('premium_rate', 'hours', 'compare', '{"condition": "open(hours)"}'),
    ('premium_rate', 'rate', 'charge', '{"tariff": "${tariff}", "number": "${called}", "account_number": "${caller}", "credit_account": "${provider}", "credit_per_mille": "${provider_per_mille}",
        "maximum_seconds": "${most_seconds}", "into": "why"}'),
    ('premium_rate', 'price', 'interact', '{"prompts": ["${price_prompt}"], "answer": false}'),
    ('premium_rate', 'ring', 'bcp', '{"action": "connect", "target": "${destination}", "timeout": "${ring_seconds}", "warning_seconds": 15}'),
    ('premium_rate', 'note', 'log', '{"kind": "charge", "text": "refused: ${why}"}'),
    ('premium_rate', 'poor', 'interact', '{"prompts": ["${refused_prompt}"], "answer": false}'),
    ('premium_rate', 'closed', 'interact', '{"prompts": ["${closed_prompt}"], "answer": false}'),
    ('premium_rate', 'reject', 'bcp', '{"action": "release", "cause": 21}'),
    ('premium_rate', 'end', 'bcp', '{"action": "release", "cause": 16}');

INSERT INTO step_exit (script, step, exit, next_step) VALUES
    ('premium_rate', 'hours', 'true', 'rate'),
    ('premium_rate', 'hours', 'false', 'closed'),
    ('premium_rate', 'closed', 'done', 'end'),
    ('premium_rate', 'rate', 'granted', 'price'),
    ('premium_rate', 'rate', 'refused', 'note'),
    ('premium_rate', 'price', 'done', 'ring'),
    ('premium_rate', 'note', 'done', 'poor'),
    ('premium_rate', 'poor', 'done', 'reject');

-- Freephone with reverse charging: as freephone, and the called party pays by where the caller is.
INSERT INTO script (script, first_step) VALUES ('freephone_charged', 'hours');

INSERT INTO script_parameter (script, parameter, type, default_value) VALUES
    ('freephone_charged', 'hours', 'calendar', NULL),
    ('freephone_charged', 'tariff', 'tariff', NULL),
    ('freephone_charged', 'account', 'account', NULL),
    ('freephone_charged', 'destination', 'target', NULL),
    ('freephone_charged', 'ring_seconds', 'integer', '30'),
    ('freephone_charged', 'closed_prompt', 'prompt', 'closed');

INSERT INTO step (script, step, sib, parameters) VALUES
    ('freephone_charged', 'hours', 'compare', '{"condition": "open(hours)"}'),
    ('freephone_charged', 'rate', 'charge', '{"tariff": "${tariff}", "number": "${caller}", "account": "${account}"}'),
    ('freephone_charged', 'ring', 'bcp', '{"action": "connect", "target": "${destination}", "timeout": "${ring_seconds}"}'),
    ('freephone_charged', 'closed', 'interact', '{"prompts": ["${closed_prompt}"], "answer": false}'),
    ('freephone_charged', 'reject', 'bcp', '{"action": "release", "cause": 21}'),
    ('freephone_charged', 'end', 'bcp', '{"action": "release", "cause": 16}');

INSERT INTO step_exit (script, step, exit, next_step) VALUES
    ('freephone_charged', 'hours', 'true', 'rate'),
    ('freephone_charged', 'hours', 'false', 'closed'),
    ('freephone_charged', 'closed', 'done', 'end'),
    ('freephone_charged', 'rate', 'granted', 'ring'),
    ('freephone_charged', 'rate', 'refused', 'reject');

-- Split charging (SPL): the caller pays a part, the subscriber the rest; the parts add up to the price exactly.
INSERT INTO script (script, first_step) VALUES ('split_charging', 'rate');

INSERT INTO script_parameter (script, parameter, type, default_value) VALUES
    ('split_charging', 'tariff', 'tariff', NULL),
    ('split_charging', 'account', 'account', NULL),
    ('split_charging', 'subscriber_per_mille', 'integer', '500'),
    ('split_charging', 'destination', 'target', NULL),
    ('split_charging', 'ring_seconds', 'integer', '30');

INSERT INTO step (script, step, sib, parameters) VALUES
    ('split_charging', 'rate', 'charge', '{"tariff": "${tariff}", "number": "${called}", "account_number": "${caller}", "second_account": "${account}", "second_per_mille": "${subscriber_per_mille}"}'),
    ('split_charging', 'ring', 'bcp', '{"action": "connect", "target": "${destination}", "timeout": "${ring_seconds}"}'),
    ('split_charging', 'reject', 'bcp', '{"action": "release", "cause": 21}');

INSERT INTO step_exit (script, step, exit, next_step) VALUES
    ('split_charging', 'rate', 'granted', 'ring'),
    ('split_charging', 'rate', 'refused', 'reject');
