package logic

import (
	"fmt"
	"runtime"

	"ringmaster/logic/call"
	"ringmaster/logic/lookup"
	"ringmaster/logic/script"
	"ringmaster/logic/table"
)

// Compile makes the snapshot of rows. A service that cannot be compiled keeps the version it had in previous
// (nil: none) and is told as a Problem, as is every other row that cannot be used.
func Compile(rows *Rows, previous *Snapshot, zones Zones) (*Snapshot, []Problem) {
	if previous == nil {
		previous = new(Snapshot)
	}
	c := &compiler{rows: rows, whole: true, previous: previous, zones: zones, snapshot: new(Snapshot)}
	c.compile()
	return c.snapshot, c.snapshot.Problems()
}

// compiler carries one compilation: of all rows, or of a delta.
type compiler struct {
	rows     *Rows
	whole    bool    // rows are all rows
	touched  Touched // else: rows are those of what was touched
	previous *Snapshot
	zones    Zones
	snapshot *Snapshot
	owner    owner // of what is being compiled
	problems problems
	made     []uint32                   // indexes of the services that were compiled
	changed  map[string]map[string]bool // what services are made of, by the type of their parameters, then by name
}

// small reports whether the small tables are compiled: then every service is.
func (c *compiler) small() bool { return c.whole || c.touched.Small }

func (c *compiler) compile() {
	c.snapshot.revision = c.rows.Revision
	c.changed = make(map[string]map[string]bool)
	if c.whole || c.touched.Nodes {
		c.compileNodes()
	}
	if c.small() {
		c.compilePlans()
		c.compilePrompts()
		c.compileAreas()
	}
	c.compileCalendars()
	c.compileLists()
	c.compileTranslations()
	c.compileDistributions()
	c.compileTariffs()
	c.compileCallLimits()
	c.compileScripts()
	c.compileServices()
	c.compileNumbers()
	c.snapshot.problems = c.problems.with(c.previous, c)
}

// problem tells of a row that cannot be used.
func (c *compiler) problem(table, key, format string, args ...any) {
	c.problems.add(c.owner, Problem{Table: table, Key: key, Reason: fmt.Sprintf(format, args...)})
}

func (c *compiler) tell(problems ...Problem) {
	for _, one := range problems {
		c.problems.add(c.owner, one)
	}
}

// change begins the edit of a registry: what was touched is taken out, and comes back when it compiles.
func change[T any](c *compiler, kind string, registry *lookup.Registry[T], touched []string) *lookup.RegistryEdit[T] {
	edit := registry.Edit()
	changed := make(map[string]bool, len(touched))
	for _, name := range touched {
		edit.Drop(name)
		changed[name] = true
	}
	c.changed[kind] = changed
	return edit
}

// changedOnly begins the edit of something of which single rows were touched: false when all of it is compiled anyway.
func (c *compiler) changedOnly(kind, name string) bool {
	if c.changed[kind][name] {
		return false
	}
	c.changed[kind][name] = true
	return true
}

// finish puts an edited registry into place.
func finish[T any](c *compiler, table string, edit *lookup.RegistryEdit[T], into *lookup.Registry[T]) {
	edited, err := edit.Done()
	if err != nil { // names are primary keys: a bug in the loading of rows
		c.problem(table, "", "%s", err)
		return
	}
	*into = edited
}

// yieldEvery is how many rows are compiled between two chances for other goroutines: calls are answered meanwhile.
const yieldEvery = 256

func yield(i int) {
	if i%yieldEvery == 0 {
		runtime.Gosched()
	}
}

// compileNumbers makes the table that leads a called number to its service.
func (c *compiler) compileNumbers() {
	var exact, ranges []lookup.Entry
	edit := c.snapshot.services.Edit()
	for i := range c.rows.ServiceNumbers {
		yield(i)
		row := &c.rows.ServiceNumbers[i]
		c.owner = owner{ownerNumber, row.Number, row.Match}
		index, ok := edit.Index(row.Service)
		if !ok {
			index = edit.Set(row.Service, &script.Service{Name: row.Service}) // keeps the number from a range of another service
		}
		if edit.At(index).Script == nil {
			c.problem("service_number", row.Number, "service %q cannot be used: it does not exist or never compiled; see its own problem. Its callers are released with Q.850 cause %d",
				row.Service, call.CauseTemporaryFailure)
		}
		if row.Match == lookup.Prefix {
			ranges = append(ranges, lookup.Entry{Key: row.Number, Value: index})
			continue
		}
		if !ValidNumber(row.Number) || row.Number[0] == '+' {
			c.problem("service_number", row.Number, "%q is not a service number: 1–%d of 0–9, * and #", row.Number, MaxNumberLength)
			continue
		}
		exact = append(exact, lookup.Entry{Key: row.Number, Value: index})
	}
	finish(c, "service", edit, &c.snapshot.services)
	var exactOut, rangesOut []string
	for _, key := range c.touched.Numbers {
		if key.Match == lookup.Prefix {
			rangesOut = append(rangesOut, key.Number)
		} else {
			exactOut = append(exactOut, key.Number)
		}
	}
	numbers := &c.snapshot.numbers
	ranges, _ = table.Usable("service_number", "", lookup.Prefix, ranges, c.problem)
	numbers.exact, _ = table.Edited("service_number", "", lookup.Exact, numbers.exact, exact, exactOut, c.problem)
	numbers.ranges, _ = table.Edited("service_number", "", lookup.Prefix, numbers.ranges, ranges, rangesOut, c.problem)
}
