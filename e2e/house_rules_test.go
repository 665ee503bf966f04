package e2e_test

// This file is the table of the house: what stands where and who may import whom (../docs/ARCHITECTURE.md says
// why). house_test.go enforces it. To add a package, give it a line here first.

// standard says how much of the standard library a package may use.
type standard uint8

const (
	noStandard   standard = iota // nothing
	pureStandard                 // what pureImports lists: no clock, no I/O
	anyStandard
)

// charter says what a package may import. Tests may import more: only what ships is checked.
type charter struct {
	standard standard
	also     []string // of the standard library, besides
	own      []string // our packages, from the module's root; "logic/*" is everything below logic
	modules  []string // other people's modules; "golang.org/x/*" is everything below it
}

// charters has a line for each package. "cmd/*" stands for every package below cmd.
var charters = map[string]charter{
	// A compilation runs beside calls and yields to them (runtime.Gosched).
	"logic": {standard: pureStandard, also: []string{"runtime"}, own: []string{"logic/*"}},
	// A trie of a million entries is built beside running calls and yields to them; it tells how much memory it takes.
	"logic/prefix":   {standard: pureStandard, also: []string{"runtime", "unsafe"}},
	"logic/calendar": {standard: pureStandard},
	// Parts of logic in packages of their own: scripts and the walk of a call through them, the call model, the operators' rows, tables by key, what services are made of, the expression language.
	"logic/script": {standard: pureStandard, own: []string{"logic/call", "logic/charging", "logic/expression", "logic/rows", "logic/say", "logic/table", "logic/tariff"},
		modules: []string{"cel.dev/cel-go"}},
	"logic/call":       {standard: pureStandard, own: []string{"logic/charging", "logic/tariff"}},
	"logic/charging":   {standard: pureStandard, own: []string{"logic/tariff"}},
	"logic/rows":       {standard: pureStandard},
	"logic/lookup":     {standard: pureStandard, also: []string{"runtime"}, own: []string{"logic/prefix"}},
	"logic/table":      {standard: pureStandard, also: []string{"runtime"}, own: []string{"logic/calendar", "logic/call", "logic/charging", "logic/lookup", "logic/rows", "logic/tariff"}},
	"logic/expression": {standard: pureStandard, modules: []string{"cel.dev/cel-go"}},
	// What the tests of logic and `ringmaster call --script` play.
	"logic/transcript": {standard: pureStandard, own: []string{"logic", "logic/charging", "logic/tariff"}},
	"logic/tariff":     {standard: pureStandard},
	"logic/say":        {standard: pureStandard},
	// Mistakes in rows that can be used, and what recorded calls would come to: for `ringmaster check` and `ringmaster replay`.
	"logic/lint":   {standard: pureStandard, own: []string{"logic/call", "logic/rows"}},
	"logic/replay": {standard: pureStandard, own: []string{"logic", "logic/charging", "logic/tariff", "logic/transcript"}},
	"rpc/wire":     {standard: anyStandard},
	"rpc/api":      {},
	// What the server binds by and what docs/API.md is made of: a description does nothing by itself.
	"rpc/contract": {standard: pureStandard, also: []string{"embed", "io", "text/template"}, own: []string{"rpc/api", "rpc/wire"}},
	"rpc/endpoint": {standard: anyStandard},
	"rpc/recent":   {standard: anyStandard},
	"rpc": {standard: anyStandard, own: []string{"logic", "logic/charging", "logic/tariff", "rpc/*"},
		modules: []string{"github.com/go-chi/chi/v5", "github.com/prometheus/client_golang"}},
	"store": {standard: anyStandard, own: []string{"logic", "migrations", "store/books", "store/ledger", "store/ledger/record"},
		modules: []string{"github.com/jackc/pgx/v5", "github.com/prometheus/client_golang"}},
	"store/storetest":        {standard: anyStandard, own: []string{"migrations", "store", "store/postgres"}, modules: []string{"github.com/jackc/pgx/v5"}},
	"store/books":            {standard: anyStandard, modules: []string{"github.com/jackc/pgx/v5"}},
	"store/bulk":             {standard: anyStandard, own: []string{"store"}, modules: []string{"github.com/jackc/pgx/v5"}},
	"store/ledger/record":    {standard: anyStandard, own: []string{"logic/call"}},
	"store/ledger/pace":      {standard: anyStandard},
	"store/ledger/heartbeat": {standard: anyStandard, own: []string{"logic/charging", "store/ledger/record"}, modules: []string{"github.com/jackc/pgx/v5"}},
	"store/ledger": {standard: anyStandard, own: []string{"logic/call", "logic/charging", "logic/tariff", "store/ledger/*"},
		modules: []string{"github.com/jackc/pgx/v5", "github.com/prometheus/client_golang"}},
	"migrations":   {standard: anyStandard},
	"agi/asterisk": {standard: anyStandard},
	"agi": {standard: anyStandard, own: []string{"agi/asterisk", "rpc/api"}, modules: []string{"github.com/kolo/xmlrpc",
		"github.com/prometheus/client_golang", "golang.org/x/*"}},
	"fleet":              {standard: anyStandard},
	"fleet/ec2":          {standard: anyStandard, own: []string{"fleet"}, modules: []string{"github.com/aws/aws-sdk-go-v2"}},
	"web":                {standard: anyStandard},
	"testdata/demo":      {standard: anyStandard},
	"cmd/ringmaster-agi": {standard: anyStandard, own: []string{"agi", "rpc/api"}, modules: []string{"*"}},
	"cmd/*":              {standard: anyStandard, own: []string{"*"}, modules: []string{"*"}},
	"e2e/*":              {standard: anyStandard, own: []string{"*"}, modules: []string{"*"}},

	// Departures from the design's table, each with its reason.
	//
	// The Postgres child of `ringmaster dev` and of the tests: it takes file locks and drops privileges.
	"store/postgres": {standard: anyStandard, modules: []string{"golang.org/x/sys"}},
}

// pureImports is the part of the standard library that neither reads a clock nor touches the world.
var pureImports = []string{
	"bytes", "cmp", "crypto/hmac", "crypto/sha256", "crypto/subtle", "encoding", "encoding/base64", "encoding/binary",
	"encoding/hex", "encoding/json", "errors", "fmt", "hash", "hash/crc32", "hash/fnv", "iter", "maps", "math", "math/big",
	"math/bits", "reflect", "regexp", "slices", "sort", "strconv", "strings", "sync", "time", "unicode", "unicode/utf8",
}

// impure lists what a pure package may not take from a package that it may import.
var impure = map[string][]string{
	"time":    {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "LoadLocation", "Local"},
	"runtime": {"GC", "GOMAXPROCS", "NumCPU", "NumGoroutine", "ReadMemStats", "Caller", "Callers", "Stack", "SetFinalizer", "AddCleanup"},
	"fmt":     {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
}

// topLevel is what may stand in the module's root.
var topLevel = []string{
	"cmd", "logic", "rpc", "store", "migrations", "testdata", "go.mod", "go.sum", "Makefile",
	"agi", "fleet", "web", "deploy", "docs", "e2e", ".ci",
	"README.md", "LICENSE", ".gitignore", ".git",
	"bin", "tmp", ".cache", // made by builds, not committed
}

// forbiddenFolders are names that say nothing of what is inside.
var forbiddenFolders = []string{"internal", "pkg", "util", "utils", "models", "common", "helpers", "misc"}

// settledModules are the direct dependencies of go.mod.
var settledModules = []string{
	"cel.dev/cel-go",
	"github.com/HdrHistogram/hdrhistogram-go",
	"github.com/alecthomas/kong",
	"github.com/go-chi/chi/v5",
	"github.com/jackc/pgx/v5",
	"github.com/kolo/xmlrpc",
	"github.com/prometheus/client_golang",
	"github.com/prometheus/client_model", // the metrics as values, in tests; client_golang brings it
	"github.com/rogpeppe/go-internal",
	"golang.org/x/sys",
	"pgregory.net/rapid",
}

// A reader's size.
const (
	maxFileLines        = 600
	maxPackageLines     = 3000 // without tests
	maxInterfaceMethods = 6
)
