//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// togetherRows are a service each of whose answers is made of rows of five tables, all of which carry the same number, 1000 at first.
const togetherRows = `
INSERT INTO script (script, first_step) VALUES ('together', 'office');
INSERT INTO script_parameter (script, parameter, type) VALUES ('together', 'table', 'translation_table'), ('together', 'share', 'distribution'), ('together', 'ring', 'integer');
INSERT INTO step (script, step, sib, parameters) VALUES
    ('together', 'office', 'translate', '{"table": "${table}", "key": "shown", "into": "shown"}'),
    ('together', 'pick', 'distribute', '{"distribution": "${share}"}'),
    ('together', 'ring', 'bcp', '{"action": "connect", "target": "${target}", "timeout": "${ring}", "caller_id": "${shown}", "maximum_seconds": 1000}'),
    ('together', 'end', 'bcp', '{"action": "release", "cause": 31}');
INSERT INTO step_exit (script, step, exit, next_step) VALUES ('together', 'office', 'found', 'pick'), ('together', 'office', 'not_found', 'end'), ('together', 'pick', 'done', 'ring');
INSERT INTO translation_table (translation_table, match) VALUES ('together', 'exact');
INSERT INTO translation (translation_table, key, value) VALUES ('together', 'shown', '49309001000');
INSERT INTO distribution (distribution, method) VALUES ('together', 'hierarchical');
INSERT INTO distribution_branch (distribution, position, branch, value, trunk) VALUES ('together', 1, 'first', '49301001000', 'busy'), ('together', 2, 'second', '49302001000', 'answers');
INSERT INTO service (service, subscriber, script) VALUES ('together', 'acme', 'together');
INSERT INTO service_parameter (service, parameter, value) VALUES ('together', 'table', 'together'), ('together', 'share', 'together'), ('together', 'ring', '10');
INSERT INTO service_number (number, service) VALUES ('498005000000', 'together');
`

// togetherEdit changes all of it in one transaction, to another number: k is 1000 to 1289.
var togetherEdit = []string{
	"UPDATE translation SET value = '4930900%d' WHERE translation_table = 'together'",
	"UPDATE distribution_branch SET value = '4930100%d' WHERE distribution = 'together' AND position = 1",
	"UPDATE service_parameter SET value = (%d - 990)::text WHERE service = 'together' AND parameter = 'ring'",
	"UPDATE step SET parameters = jsonb_set(parameters, '{maximum_seconds}', '%d') WHERE script = 'together' AND step = 'ring'",
	"UPDATE distribution_branch SET value = '4930200%d' WHERE distribution = 'together' AND position = 2",
}

// versions says which number the config revisions carry.
type versions struct {
	mu sync.Mutex
	of map[int64]int
}

func (v *versions) set(revision int64, k int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.of[revision] = k
}

// version is what an answer carries, and the revision that it names.
type version struct {
	revision int64
	k        int
}

var (
	answeredNumber   = regexp.MustCompile(`<name>number</name><value><string>4930([12])00(\d{4})</string>`)
	answeredCallerID = regexp.MustCompile(`<name>caller_id</name><value><string>4930900(\d{4})</string>`)
	answeredTimeout  = regexp.MustCompile(`<name>timeout</name><value><(?:int|i4)>(\d+)</`)
	answeredMaximum  = regexp.MustCompile(`<name>maximum_seconds</name><value><(?:int|i4)>(\d+)</`)
	answeredRevision = regexp.MustCompile(`<name>revision</name><value><string>(\d+)</string>`)
)

// readVersion reads an answer to call.start: all that it is made of must carry the same number.
func readVersion(body string) (v version, err error) {
	var all []string
	for _, pattern := range []*regexp.Regexp{answeredNumber, answeredCallerID, answeredMaximum} {
		for _, found := range pattern.FindAllStringSubmatch(body, -1) {
			all = append(all, found[len(found)-1])
		}
	}
	for _, found := range answeredTimeout.FindAllStringSubmatch(body, -1) {
		n, _ := strconv.Atoi(found[1])
		all = append(all, strconv.Itoa(n+990))
	}
	revision := answeredRevision.FindStringSubmatch(body)
	if len(all) != 6 || revision == nil {
		return v, fmt.Errorf("the answer has %d of 6 parts: %s", len(all), body)
	}
	for _, one := range all {
		if one != all[0] {
			return v, fmt.Errorf("the answer is mixed of %v: %s", all, body)
		}
	}
	v.k, _ = strconv.Atoi(all[0])
	v.revision, _ = strconv.ParseInt(revision[1], 10, 64)
	return v, nil
}

// TestNoAnswerMixesVersions changes rows of several tables in one transaction, over and over, while two engines are asked and real calls are placed: each answer comes
// from one config version as a whole, and it, and the call's record, name the right one.
func TestNoAnswerMixesVersions(t *testing.T) {
	const calls = 12
	s := newStack(t, nil)
	s.edit(t, togetherRows)
	s.startOtherEngine(t)
	known := &versions{of: make(map[int64]int)}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var first int64
	if err := s.db.QueryRow(ctx, "SELECT revision FROM config_revision").Scan(&first); err != nil {
		t.Fatal(err)
	}
	known.set(first, 1000)

	stop := make(chan struct{})
	var busy sync.WaitGroup
	edits := 0
	busy.Go(func() {
		for k := 1001; ; k = 1000 + (k+1-1000)%290 {
			select {
			case <-stop:
				return
			default:
			}
			var revision int64
			err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
				for _, sql := range togetherEdit {
					if _, err := tx.Exec(ctx, fmt.Sprintf(sql, k)); err != nil {
						return err
					}
				}
				return nil
			})
			if err == nil {
				err = s.db.QueryRow(ctx, "SELECT revision FROM config_revision").Scan(&revision)
			}
			if err != nil {
				t.Error(err)
				return
			}
			known.set(revision, k)
			edits++
		}
	})
	var mu sync.Mutex
	var seen []version
	for i, url := range []string{s.engineURL(), s.otherURL()} {
		busy.Go(func() {
			client := http.Client{Timeout: 5 * time.Second}
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				body := fmt.Sprintf(`<?xml version="1.0"?><methodCall><methodName>call.start</methodName><params><param><value><struct>
					<member><name>call_id</name><value>mix-%d-%d</value></member><member><name>called</name><value>08005000000</value></member></struct></value></param></params></methodCall>`, i, n)
				request, _ := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
				request.SetBasicAuth(s.node, s.secret)
				request.Header.Set("Content-Type", "text/xml")
				reply, err := client.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				text, err := io.ReadAll(reply.Body)
				reply.Body.Close()
				if strings.Contains(string(text), "no answer inside the budget") {
					continue // the machine is busy: nothing was decided
				}
				v, mixed := readVersion(string(text))
				if err != nil || mixed != nil {
					t.Error(err, mixed)
					return
				}
				mu.Lock()
				seen = append(seen, v)
				mu.Unlock()
			}
		})
	}
	var records []cdr
	for i := range calls {
		from, e164 := s.callerNumber("")
		s.dial(t, faces[i%2], dial{From: from, To: "08005000000", Ends: endsCaller, Wait: 200 * time.Millisecond}).over(t)
		records = append(records, s.cdr(t, e164, 10*time.Second))
	}
	close(stop)
	busy.Wait()
	for _, v := range seen {
		if k, ok := known.of[v.revision]; !ok || k != v.k {
			t.Fatalf("an answer names revision %d, which carries %d, and carries %d itself", v.revision, k, v.k)
		}
	}
	used := map[string]bool{}
	for _, c := range records {
		if len(c.Legs) != 1 || c.Legs[0].Trunk != trunkAnswers || c.Outcome != "answered" { // a node tells of the target that it tried last
			t.Errorf("the call did not reach the second phone: %v", c)
			continue
		}
		var revision int64
		if err := s.db.QueryRow(ctx, "SELECT revision FROM cdr WHERE call_id = $1", c.CallID).Scan(&revision); err != nil {
			t.Fatal(err)
		}
		suffix := c.Legs[0].Number[len(c.Legs[0].Number)-4:]
		if strconv.Itoa(known.of[revision]) != suffix {
			t.Errorf("the call's record names revision %d, which carries %d: %v", revision, known.of[revision], c)
		}
		used[suffix] = true
	}
	if len(seen) < 100 || edits < 10 || len(used) < 2 {
		t.Errorf("%d answers beside %d edits, and calls of %d versions are too few to tell anything", len(seen), edits, len(used))
	}
	progress("no answer is mixed: %d answers and %d calls of %d versions beside %d edits", len(seen), calls, len(used), edits)
}
