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
    ('goodbye', 'vm-goodbye');

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
