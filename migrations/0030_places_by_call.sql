-- The places of a call are looked up by call, those that were given back among them. Of the few that are held just then the planner would go through the whole index, for a call that it could look up, and keep to that when they have become many.

CREATE INDEX limit_place_of ON limit_place (call_id, node);
DROP INDEX limit_place_call;
ALTER INDEX limit_place_of RENAME TO limit_place_call;
