-- A conversation that is over has its length and its beginning: which charge pays for it is told by when it began, and not by when it would have begun if it went on.

ALTER TABLE live_call ADD COLUMN talk_ms bigint;
COMMENT ON COLUMN live_call.talk_ms IS 'Milliseconds that the last conversation lasted, when it is over; NULL: it goes on, or there was none';
