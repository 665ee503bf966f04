//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// markedRows are a carrier whose answers tell the edit that they are made of: each part of an answer comes from a table of its own, and each
// edit writes its number into all of them (see markRows).
const markedRows = `
INSERT INTO prompt (prompt, file) VALUES ('marked_hello', 'e2e/v00000');
INSERT INTO translation_table (translation_table) VALUES ('marked');
INSERT INTO translation (translation_table, key, value, trunk) VALUES ('marked', 'v00000', '4930100000', 'answers');
INSERT INTO distribution (distribution, method) VALUES ('marked', 'hierarchical');
INSERT INTO distribution_branch (distribution, position, branch, value, trunk) VALUES ('marked', 1, 'only', '4930300000', 'answers');
INSERT INTO script (script, first_step) VALUES ('marked', 'hello'), ('marked_share', 'share');
INSERT INTO script_parameter (script, parameter, type, default_value) VALUES ('marked', 'offices', 'translation_table', 'marked'), ('marked', 'second_office', 'target', NULL),
    ('marked', 'ring_seconds', 'integer', '10'), ('marked', 'hello', 'prompt', 'marked_hello'), ('marked_share', 'spread', 'distribution', 'marked');
INSERT INTO step (script, step, sib, parameters) VALUES
    ('marked', 'hello', 'interact', '{"prompts": ["${hello}"]}'),
    ('marked', 'office', 'translate', '{"table": "${offices}", "key": "${origin}", "into": "office"}'),
    ('marked', 'ring', 'bcp', '{"action": "connect", "target": "${office}", "timeout": "${ring_seconds}", "caller_id": "4930900000"}'),
    ('marked', 'second', 'bcp', '{"action": "connect", "target": "${second_office}", "timeout": "${ring_seconds}"}'),
    ('marked', 'torn', 'bcp', '{"action": "release", "cause": 127}'),
    ('marked_share', 'share', 'distribute', '{"distribution": "${spread}", "into": "office"}'),
    ('marked_share', 'ring', 'bcp', '{"action": "connect", "target": "${office}", "timeout": 10, "caller_id": "4930900000"}');
INSERT INTO step_exit (script, step, exit, next_step) VALUES
    ('marked', 'hello', 'done', 'office'), ('marked', 'office', 'found', 'ring'), ('marked', 'office', 'not_found', 'torn'),
    ('marked', 'ring', 'busy', 'second'), ('marked_share', 'share', 'done', 'ring');
INSERT INTO service (service, subscriber, script) VALUES ('marked', 'acme', 'marked'), ('marked_share', 'acme', 'marked_share');
INSERT INTO service_parameter (service, parameter, value) VALUES ('marked', 'second_office', '4930200000@answers');
INSERT INTO service_number (number, service) VALUES ('498007000001', 'marked'), ('498007000002', 'marked_share');
INSERT INTO area_prefix (prefix, area) VALUES ('49307', 'v00000');`

// markRows is edit number mark, in one transaction over eight tables. The engines load the tables one after the other.
func markRows(mark int) string {
	return strings.ReplaceAll(`
UPDATE service_parameter SET value = '49302$@answers' WHERE service = 'marked' AND parameter = 'second_office';
UPDATE area_prefix SET area = 'v$' WHERE prefix = '49307';
UPDATE step SET parameters = parameters || '{"caller_id": "49309$"}' WHERE script IN ('marked', 'marked_share') AND step = 'ring';
UPDATE distribution_branch SET value = '49303$' WHERE distribution = 'marked';
UPDATE prompt SET file = 'e2e/v$' WHERE prompt = 'marked_hello';
UPDATE translation SET key = 'v$', value = '49301$' WHERE translation_table = 'marked';
UPDATE script_parameter SET default_value = '`+strconv.Itoa(ringSeconds(mark))+`' WHERE script = 'marked' AND parameter = 'ring_seconds';
UPDATE service SET language = '`+languageOf(mark)+`' WHERE service = 'marked'`, "$", fmt.Sprintf("%05d", mark))
}

func ringSeconds(mark int) int { return 10 + mark%290 }

func languageOf(mark int) string {
	return string([]byte{byte('a' + mark/26%26), byte('a' + mark%26)})
}

// TestNoQueryMixesVersions asks in all ways where TestNoAnswerMixesVersions places calls, and needs no Asterisk: while transactions change eight tables each, many callers ask two engines, in all three ways. Each answer is of one
// version in all its parts, and it is the version whose revision it names. The CDRs name the revision of the last answer.
func TestNoQueryMixesVersions(t *testing.T) {
	const edits, callers = 400, 6
	s := newEngineWith(t, []string{carrierRows, markedRows})
	s.startOtherEngine(t)
	began := time.Now()
	if out, err := exec.Command(made.ringmaster, "check", "--database", s.database()).CombinedOutput(); err != nil {
		t.Fatalf("ringmaster check: %v\n%s", err, out)
	}
	base := s.revision(t)
	done := make(chan struct{})
	m := &markings{base: base, seen: map[int]bool{}, last: map[string]int64{}}
	var calling sync.WaitGroup
	for n := range callers {
		calling.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				if err := m.call(s, fmt.Sprintf("marked-%d-%d", n, i), i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for mark := 1; mark <= edits && !t.Failed(); mark++ {
		err := pgx.BeginFunc(t.Context(), s.db, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), markRows(mark))
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	close(done)
	calling.Wait()
	if got := s.revision(t); got != base+edits && !t.Failed() {
		t.Errorf("%d edits have made revision %d of %d", edits, got, base)
	}
	if len(m.seen) < edits/10 {
		t.Errorf("the answers are of %d versions only", len(m.seen))
	}
	s.checkRevisions(t, m.last)
	progress("%d answers of %d versions, %d calls, %d edits in %.1f s", m.answers, len(m.seen), len(m.last), edits, time.Since(began).Seconds())
}

func (s *stack) revision(t testing.TB) (revision int64) {
	t.Helper()
	if err := s.db.QueryRow(context.Background(), "SELECT revision FROM config_revision").Scan(&revision); err != nil {
		t.Fatal(err)
	}
	return revision
}

// checkRevisions compares the CDRs' revisions with those that the calls' last answers named.
func (s *stack) checkRevisions(t *testing.T, last map[string]int64) {
	t.Helper()
	rows, err := s.db.Query(context.Background(), "SELECT call_id, revision FROM cdr")
	if err != nil {
		t.Fatal(err)
	}
	var call string
	var revision int64
	found := 0
	if _, err := pgx.ForEachRow(rows, []any{&call, &revision}, func() error {
		if found++; last[call] != revision {
			t.Errorf("the CDR of %s names revision %d, and its last answer was of %d", call, revision, last[call])
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if found != len(last) || found == 0 {
		t.Errorf("%d CDRs of %d calls", found, len(last))
	}
}

// markings is what the callers have learned from answers.
type markings struct {
	base int64 // the revision of mark 0

	mu      sync.Mutex
	answers int
	seen    map[int]bool     // marks
	last    map[string]int64 // call → revision of its last answer
}

var (
	markPattern     = regexp.MustCompile(`(?:e2e/v|4930[1239])([0-9]{5})\b`)
	revisionPattern = regexp.MustCompile(`<name>revision</name><value>(?:<string>)?([0-9]+)|&revision=([0-9]+)`)
	timeoutPattern  = regexp.MustCompile(`<name>timeout</name><value><(?:i4|int)>([0-9]+)`)
	languagePattern = regexp.MustCompile(`<name>language</name><value>(?:<string>)?([a-z]+)`)
	sessionPattern  = regexp.MustCompile(`<name>session</name><value>(?:<string>)?([^<]+)`)
)

// check reads an answer with so many marks in it, and returns its revision.
func (m *markings) check(answer []byte, marks int, dialogue bool) (revision int64, err error) {
	fail := func(what string) (int64, error) { return 0, fmt.Errorf("%s in\n%s", what, answer) }
	found := markPattern.FindAllSubmatch(answer, -1)
	named := revisionPattern.FindSubmatch(answer)
	if len(found) != marks || named == nil {
		return fail(fmt.Sprintf("%d marks of %d, or no revision", len(found), marks))
	}
	mark, _ := strconv.Atoi(string(found[0][1]))
	for _, f := range found {
		if !bytes.Equal(f[1], found[0][1]) {
			return fail("two versions are mixed")
		}
	}
	revision, _ = strconv.ParseInt(string(slices.Concat(named[1:]...)), 10, 64)
	if revision != m.base+int64(mark) {
		return fail(fmt.Sprintf("revision %d is named, and %d is that of mark %d", revision, m.base+int64(mark), mark))
	}
	if dialogue {
		for _, seconds := range timeoutPattern.FindAllSubmatch(answer, -1) {
			if string(seconds[1]) != strconv.Itoa(ringSeconds(mark)) {
				return fail("the timeout is of another version")
			}
		}
	}
	if language := languagePattern.FindSubmatch(answer); mark > 0 && language != nil && string(language[1]) != languageOf(mark) {
		return fail("the language is of another version")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answers++
	m.seen[mark] = true
	return revision, nil
}

// call places a call that is busy and then ends, each query with one engine or the other, and asks the two one-shot ways too.
func (m *markings) call(s *stack, id string, turn int) error {
	engine := func(n int) string { return []string{s.engineURL(), s.otherURL()}[(turn+n)%2] }
	answer, err := s.ask(engine(0), "call.start", "call_id", id, "caller", "+49307123", "called", "+498007000001")
	if err != nil {
		return err
	}
	revision, err := m.check(answer, 3, true) // prompt, target, caller id
	if err != nil {
		return err
	}
	session := sessionPattern.FindSubmatch(answer)
	if turn%2 == 0 {
		if answer, err = s.ask(engine(1), "call.report", "session", string(session[1]), "results", busyResult); err != nil {
			return err
		}
		if revision, err = m.check(answer, 1, true); err != nil {
			return err
		}
		session = sessionPattern.FindSubmatch(answer)
	}
	if _, err = s.ask(engine(1), "call.end", "session", string(session[1]), "hangup_source", "e2e"); err != nil {
		return err
	}
	m.mu.Lock()
	m.last[id] = revision
	m.mu.Unlock()
	if answer, err = s.ask(engine(0), "number.translate", "caller", "+49307123", "called", "+498007000002"); err != nil {
		return err
	}
	if _, err = m.check(answer, 3, false); err != nil { // number, targets, caller id
		return err
	}
	form := url.Values{"caller": {"+49307123"}, "called": {"+498007000002"}}
	if answer, err = s.post(strings.Replace(engine(1), "/RPC2", "/dialplan/translate", 1), "application/x-www-form-urlencoded", form.Encode()); err != nil {
		return err
	}
	_, err = m.check(answer, 2, false)
	return err
}

const busyResult = "<array><data><value><struct><member><name>op</name><value>connect</value></member><member><name>status</name><value>busy</value></member></struct></value></data></array>"

// ask calls a method with a struct of texts, or of XML where the value begins with <, and returns the reply's bytes; a fault is an error.
func (s *stack) ask(engine, method string, members ...string) ([]byte, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "<methodCall><methodName>%s</methodName><params><param><value><struct>", method)
	for i := 0; i < len(members); i += 2 {
		fmt.Fprintf(&b, "<member><name>%s</name><value>%s</value></member>", members[i], members[i+1])
	}
	b.WriteString("</struct></value></param></params></methodCall>")
	reply, err := s.post(engine, "text/xml", b.String())
	if err == nil && bytes.Contains(reply, []byte("<fault>")) {
		err = fmt.Errorf("%s: %s", method, reply)
	}
	return reply, err
}

func (s *stack) post(address, kind, body string) ([]byte, error) {
	request, err := http.NewRequest(http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.SetBasicAuth(s.node, s.secret)
	request.Header.Set("Content-Type", kind)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	reply, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, reply)
	}
	return reply, err
}
