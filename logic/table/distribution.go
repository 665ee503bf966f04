package table

import (
	"fmt"
	"math"
	"strings"

	"ringmaster/logic/call"
	"ringmaster/logic/rows"
)

// The methods of a distribution.
const (
	Percentage   = "percentage"
	Circular     = "circular"
	Hierarchical = "hierarchical"
	Hash         = "hash"
)

// Distribution picks among branches.
type Distribution struct {
	Name     string
	Method   string
	Branches []Branch
	Total    uint64 // sum of weights
	All      string // hierarchical: the branches' values in order, with commas between
}

// Branch is one choice.
type Branch struct {
	Name   string
	Weight uint64
	Value  string // a target as number@trunk, or text
}

// NewDistribution makes a distribution of its branches; nil when it cannot be used.
func NewDistribution(row rows.DistributionRow, branches []rows.BranchRow, trunks Trunks, refuse Refuse) *Distribution {
	d := &Distribution{Name: row.Distribution, Method: row.Method}
	good := true
	told := func(table, key, format string, args ...any) {
		good = false
		refuse(table, key, format, args...)
	}
	for _, one := range branches {
		value, _ := targetOrText(one.Value, one.Trunk, trunks, func(format string, args ...any) {
			told("distribution_branch", d.Name+"."+one.Branch, format, args...)
		})
		if one.Weight < 0 || one.Weight > math.MaxInt32 {
			told("distribution_branch", d.Name+"."+one.Branch, "weight is %d; it must be 0–%d", one.Weight, math.MaxInt32)
			continue
		}
		d.Branches = append(d.Branches, Branch{one.Branch, uint64(one.Weight), value})
		d.Total += uint64(one.Weight)
	}
	switch row.Method {
	case Percentage, Hash:
		if d.Total == 0 {
			told("distribution", d.Name, "the weights of its branches sum to 0: nothing can be picked")
		}
	case Circular, Hierarchical:
		if len(d.Branches) == 0 {
			told("distribution", d.Name, "it has no branches: insert some into distribution_branch")
		}
		if row.Method == Hierarchical {
			if reason := d.join(); reason != "" {
				told("distribution", d.Name, "%s", reason)
			}
		}
	default:
		told("distribution", d.Name, "method %q is unknown: percentage, circular, hierarchical or hash", row.Method)
	}
	if !good {
		return nil
	}
	return d
}

// join puts all branches' values together, as a connect takes them.
func (d *Distribution) join() (reason string) {
	values := make([]string, len(d.Branches))
	for i := range d.Branches {
		values[i] = d.Branches[i].Value
	}
	d.All = strings.Join(values, ",")
	switch {
	case len(values) > call.MaxTargets:
		return fmt.Sprintf("it has %d branches; a connect tries at most %d one after the other", len(values), call.MaxTargets)
	case len(d.All) > call.MaxValueLength:
		return fmt.Sprintf("its targets are %d characters together, more than the %d that a call can carry: use fewer branches or shorter trunk names", len(d.All), call.MaxValueLength)
	}
	return ""
}

// ByWeight returns the branch that holds point (0 ≤ point < Total) when the weights are laid side by side.
func (d *Distribution) ByWeight(point uint64) *Branch {
	for i := range d.Branches {
		if point < d.Branches[i].Weight {
			return &d.Branches[i]
		}
		point -= d.Branches[i].Weight
	}
	return nil
}
