package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"ringmaster/logic"
	"ringmaster/store"
	"ringmaster/store/storetest"
)

func TestEachCDR(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	mustExec(t, dsn, `INSERT INTO cdr (call_id, node, trunk, caller, called, dialled, presentation, service, path, outcome, started_at, ended_at, talk_ms, legs)
		SELECT 'call-' || i, 'n', 'office', '4930', '49800', '0800', 'restricted', 'service' || i % 2, 'a:b', 'answered', '2026-11-23 10:00Z'::timestamptz + i * interval '1 hour', now(), 1500,
			'[{"trunk": "office", "number": "491", "status": "busy", "cause": 17, "talk_ms": 0}, {"trunk": "pstn", "number": "492", "status": "answer", "cause": 16, "talk_ms": 1500}]'
		FROM generate_series(0, 5) AS i`)
	s := open(t, dsn)
	at := func(hour int) time.Time { return time.Date(2026, 11, 23, hour, 0, 0, 0, time.UTC) }
	for _, c := range []struct {
		filter store.CDRFilter
		want   []string
	}{
		{store.CDRFilter{Since: at(0), Until: at(23)}, []string{"call-0", "call-1", "call-2", "call-3", "call-4", "call-5"}},
		{store.CDRFilter{Since: at(11), Until: at(13)}, []string{"call-1", "call-2"}},
		{store.CDRFilter{Since: at(0), Until: at(23), Service: "service1"}, []string{"call-1", "call-3", "call-5"}},
		{store.CDRFilter{Since: at(0), Until: at(23), Limit: 2}, []string{"call-0", "call-1"}},
	} {
		var got []string
		err := s.EachCDR(within(t), c.filter, func(cdr *logic.CDR) error {
			got = append(got, cdr.CallID)
			if len(cdr.Legs) != 2 || cdr.Legs[0].Status != logic.StatusBusy || cdr.Legs[1] != (logic.Leg{Trunk: "pstn", Number: "492", Status: logic.StatusAnswer, Cause: 16, TalkMilliseconds: 1500}) {
				t.Errorf("the legs are %+v", cdr.Legs)
			}
			if cdr.Presentation != logic.PresentationRestricted || cdr.Outcome != logic.CallAnswered || cdr.Dialled != "0800" || cdr.Talk != 1500*time.Millisecond {
				t.Errorf("%+v", cdr)
			}
			return nil
		})
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q, %v; want %q", c.filter, got, err, c.want)
		}
	}
	stop := errors.New("enough")
	if err := s.EachCDR(within(t), store.CDRFilter{Since: at(0), Until: at(23)}, func(*logic.CDR) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("stopped with %v", err)
	}
}
