-- The planner takes an index of the few rows that are pending just then for a short list of them, and goes through all of it, for statements that look for something else; and keeps to that when they have become many.

-- What an account holds is looked up by account, and only so: who looks for what has expired does not say that there is one.
CREATE INDEX reservation_held_by ON reservation (account) WHERE state = 'pending' AND account IS NOT NULL;
DROP INDEX reservation_held;
ALTER INDEX reservation_held_by RENAME TO reservation_held;

-- The places of a call are looked up by call, those that were given back among them.
CREATE INDEX limit_place_of ON limit_place (call_id, node);
DROP INDEX limit_place_call;
ALTER INDEX limit_place_of RENAME TO limit_place_call;
