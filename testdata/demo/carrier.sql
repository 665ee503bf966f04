-- The demo carrier: what `ringmaster dev` starts with, what the transcripts of testdata/calls run on, and a place to copy from.
-- Plain INSERT … VALUES only, for the transcripts read this file without a Postgres.

INSERT INTO numbering_plan (numbering_plan, country_code, international_prefix, national_prefix) VALUES
    ('default', '49', '00', '0');

-- Ways out of the nodes. On Asterisk each is the PJSIP endpoint of the same name.
INSERT INTO trunk (trunk) VALUES ('office'), ('pstn');

-- The sound files are Asterisk's own (core sounds).
INSERT INTO prompt (prompt, file) VALUES
    ('closed', 'ss-noservice'),
    ('enter_code', 'agent-pass'),
    ('wrong_code', 'auth-incorrect'),
    ('goodbye', 'vm-goodbye'),
    ('enter_card', 'vm-enter-num-to-call'),
    ('balance_is', 'beep'),
    ('enter_number', 'vm-enter-num-to-call'),
    ('not_allowed', 'ss-noservice'),
    ('not_enough', 'ss-noservice'),
    ('try_later', 'ss-noservice'),
    ('price', 'beep');

-- Where callers are, by the first digits of their number.
INSERT INTO area_prefix (prefix, area) VALUES
    ('4930', 'berlin'),
    ('49331', 'berlin'),
    ('4989', 'munich'),
    ('49811', 'munich'),
    ('4940', 'hamburg');

INSERT INTO calendar (calendar, time_zone) VALUES
    ('office_hours', 'Europe/Berlin'),
    ('always', 'UTC');

-- Weekdays: Monday first. Times of day are local to the calendar's zone; 24:00 is the end of the day.
INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at) VALUES
    ('office_hours', '1111100', '08:00', '18:00'),
    ('office_hours', '0000010', '09:00', '13:00'),
    ('always', '1111111', '00:00', '24:00');

-- Holidays of all of Germany that have a fixed date, and some that have not.
INSERT INTO calendar_holiday (calendar, holiday, name, yearly) VALUES
    ('office_hours', '2026-01-01', 'Neujahr', true),
    ('office_hours', '2026-05-01', 'Tag der Arbeit', true),
    ('office_hours', '2026-10-03', 'Tag der Deutschen Einheit', true),
    ('office_hours', '2026-12-25', '1. Weihnachtstag', true),
    ('office_hours', '2026-12-26', '2. Weihnachtstag', true),
    ('office_hours', '2026-04-03', 'Karfreitag 2026', false),
    ('office_hours', '2026-04-06', 'Ostermontag 2026', false),
    ('office_hours', '2027-03-26', 'Karfreitag 2027', false),
    ('office_hours', '2027-03-29', 'Ostermontag 2027', false);

-- On Christmas Eve the offices close early.
INSERT INTO calendar_holiday (calendar, holiday, name, yearly, opens_at, closes_at) VALUES
    ('office_hours', '2026-12-24', 'Heiligabend', true, '08:00', '12:00');

INSERT INTO subscriber (subscriber) VALUES ('acme'), ('citybank');

-- Freephone: 0800 1234567 rings at the office of the caller's area; callers from elsewhere are shared out 70 : 30.
INSERT INTO translation_table (translation_table, match) VALUES ('acme_offices', 'exact');
INSERT INTO translation (translation_table, key, value, trunk) VALUES
    ('acme_offices', 'berlin', '4930200100', 'office'),
    ('acme_offices', 'munich', '4989200100', 'office'),
    ('acme_offices', 'hamburg', '4940200100', 'office');
INSERT INTO distribution (distribution, method) VALUES ('acme_share', 'percentage');
INSERT INTO distribution_branch (distribution, position, branch, weight, value, trunk) VALUES
    ('acme_share', 1, 'berlin', 70, '4930200100', 'office'),
    ('acme_share', 2, 'hamburg', 30, '4940200100', 'office');
INSERT INTO service (service, subscriber, script, language) VALUES ('acme_freephone', 'acme', 'freephone', 'en');
INSERT INTO service_parameter (service, parameter, value) VALUES
    ('acme_freephone', 'hours', 'office_hours'),
    ('acme_freephone', 'offices', 'acme_offices'),
    ('acme_freephone', 'elsewhere', 'acme_share'),
    ('acme_freephone', 'second_office', '4930200200@office');
INSERT INTO service_number (number, match, service) VALUES ('498001234567', 'exact', 'acme_freephone');

-- The same by day and night: 0800 2222222.
INSERT INTO service (service, subscriber, script, language) VALUES ('acme_hotline', 'acme', 'freephone', 'en');
INSERT INTO service_parameter (service, parameter, value) VALUES
    ('acme_hotline', 'hours', 'always'),
    ('acme_hotline', 'offices', 'acme_offices'),
    ('acme_hotline', 'elsewhere', 'acme_share'),
    ('acme_hotline', 'second_office', '4930200200@office');
INSERT INTO service_number (number, match, service) VALUES ('498002222222', 'exact', 'acme_hotline');

-- Security screening: 0900 5550100 asks for an authorisation code first.
INSERT INTO screening_list (screening_list, match) VALUES ('citybank_codes', 'exact');
INSERT INTO screening_entry (screening_list, entry) VALUES ('citybank_codes', '4711'), ('citybank_codes', '081512');
INSERT INTO service (service, subscriber, script, language) VALUES ('citybank_vault', 'citybank', 'security_screening', 'en');
INSERT INTO service_parameter (service, parameter, value) VALUES
    ('citybank_vault', 'codes', 'citybank_codes'),
    ('citybank_vault', 'destination', '4930200900@office');
INSERT INTO service_number (number, match, service) VALUES ('499005550100', 'exact', 'citybank_vault');

-- Money. Prices are per minute; a price list's longest prefix wins, and the price at the beginning holds for the whole call.
INSERT INTO calendar (calendar, time_zone) VALUES ('night', 'Europe/Berlin');
INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at) VALUES ('night', '1111111', '21:00', '06:00');

INSERT INTO tariff (tariff, currency, rounding, rounding_unit) VALUES
    ('card', 'EUR', 'up', 0.0001),
    ('premium', 'EUR', 'half_up', 0.01),
    ('reverse', 'EUR', 'up', 0.0001),
    ('shared', 'EUR', 'half_even', 0.0001);
INSERT INTO tariff_rate (tariff, prefix, calendar, price_per_minute, connect_fee, first_increment, further_increment, free_seconds, maximum_charge, maximum_seconds) VALUES
    ('card', '49', NULL, 0.05, 0, 60, 10, 0, NULL, NULL),
    ('card', '49', 'night', 0.02, 0, 60, 10, 0, NULL, NULL),
    ('card', '4915', NULL, 0.19, 0, 60, 60, 0, NULL, NULL),
    ('card', '33', NULL, 0.09, 0.01, 1, 1, 0, NULL, NULL),
    ('premium', '', NULL, 1.99, 0, 60, 60, 0, 29.85, 3600),
    ('reverse', '', NULL, 0.12, 0, 1, 1, 0, NULL, NULL),
    ('reverse', '4930', NULL, 0.03, 0, 1, 1, 0, NULL, NULL),
    ('shared', '', NULL, 0.14, 0, 60, 1, 0, NULL, NULL);

-- Who pays. In a real carrier adjustments are invoices paid and top-ups.
INSERT INTO account (account, subscriber, currency, credit_limit) VALUES ('acme', 'acme', 'EUR', 1000), ('citybank', 'citybank', 'EUR', 1000);
INSERT INTO account (account, currency) VALUES ('card_1', 'EUR'), ('card_2', 'EUR'), ('line_1', 'EUR'), ('poor_1', 'EUR');
INSERT INTO adjustment (account, amount, reason) VALUES ('card_1', 10, 'first top-up'), ('card_2', 0.50, 'first top-up'), ('line_1', 25, 'first top-up'), ('poor_1', 0.01, 'first top-up');
INSERT INTO account_number (number, account) VALUES ('49301112222', 'line_1'), ('49301113333', 'poor_1');

-- Account card calling: 0180 5551000, then card 8912340001, PIN 4711. Nobody calls premium numbers by it. The PIN's hash is what set_card_pin makes.
INSERT INTO card (card, account, pin) VALUES
    ('8912340001', 'card_1', '\x000102030405060708090a0b0c0d0e0fd72cf2f11094a97750e27acccb45584bd0e83d6250e4a14508b057f4dfe28d3f'),
    ('8912340002', 'card_2', '\x000102030405060708090a0b0c0d0e0fd72cf2f11094a97750e27acccb45584bd0e83d6250e4a14508b057f4dfe28d3f');
INSERT INTO screening_list (screening_list, match) VALUES ('card_barred', 'prefix');
INSERT INTO screening_entry (screening_list, entry) VALUES ('card_barred', '49900'), ('card_barred', '49137');
INSERT INTO service (service, subscriber, script, language) VALUES ('acme_calling', 'acme', 'account_card', 'en');
INSERT INTO service_parameter (service, parameter, value) VALUES
    ('acme_calling', 'tariff', 'card'),
    ('acme_calling', 'way_out', 'pstn'),
    ('acme_calling', 'barred', 'card_barred');
INSERT INTO service_number (number, match, service) VALUES ('491805551000', 'exact', 'acme_calling');

-- Premium rate: 0900 1555000 costs 1.99 a minute, of which the bank gets 60 per cent.
INSERT INTO service (service, subscriber, script, language) VALUES ('citybank_advice', 'citybank', 'premium_rate', 'en');
INSERT INTO service_parameter (service, parameter, value) VALUES
    ('citybank_advice', 'hours', 'always'),
    ('citybank_advice', 'tariff', 'premium'),
    ('citybank_advice', 'provider', 'citybank'),
    ('citybank_advice', 'destination', '4930200910@office'),
    ('citybank_advice', 'price_prompt', 'price');
INSERT INTO service_number (number, match, service) VALUES ('499001555000', 'exact', 'citybank_advice');

-- Freephone that acme pays for by where the caller is: 0800 5550800.
INSERT INTO service (service, subscriber, script, language) VALUES ('acme_reverse', 'acme', 'freephone_charged', 'en');
INSERT INTO service_parameter (service, parameter, value) VALUES
    ('acme_reverse', 'hours', 'always'),
    ('acme_reverse', 'tariff', 'reverse'),
    ('acme_reverse', 'account', 'acme'),
    ('acme_reverse', 'destination', '4930200110@office');
INSERT INTO service_number (number, match, service) VALUES ('498005550800', 'exact', 'acme_reverse');

-- Split charging: 0180 2555000 costs 0.14 a minute, and acme pays two thirds of it.
INSERT INTO service (service, subscriber, script, language) VALUES ('acme_shared', 'acme', 'split_charging', 'en');
INSERT INTO service_parameter (service, parameter, value) VALUES
    ('acme_shared', 'tariff', 'shared'),
    ('acme_shared', 'account', 'acme'),
    ('acme_shared', 'subscriber_per_mille', '667'),
    ('acme_shared', 'destination', '4930200120@office');
INSERT INTO service_number (number, match, service) VALUES ('491802555000', 'exact', 'acme_shared');

-- At most two calls at once, for whoever wants to bound something: name it in a step that limits.
INSERT INTO call_limit (call_limit, maximum_calls) VALUES ('two_calls', 2);
INSERT INTO account_country (account, country_code) VALUES ('line_1', '49');
