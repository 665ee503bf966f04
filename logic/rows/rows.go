// Package rows is what operators wrote: their tables, row by row, as package store reads them from Postgres and package
// logic compiles them. It has no behaviour and gives the rows no meaning.
package rows

import "time"

// Problem is a row that Postgres accepted and Compile cannot use. What it belongs to keeps its last good version.
type Problem struct {
	Table  string `json:"table"`
	Key    string `json:"key"` // as an operator would name the row: freephone.hours
	Reason string `json:"reason"`
}

// Rows is what operators wrote, as read from Postgres in one repeatable-read view. Each field is one table of
// the same name in singular (Services ↔ service); each struct's fields are that table's columns. Rows carries no
// meaning yet: Compile gives it that.
type Rows struct {
	// Revision counts the committed edits of operator tables; it names a config version.
	Revision int64

	NumberingPlans    []NumberingPlanRow
	Trunks            []TrunkRow
	Nodes             []NodeRow
	SessionKeys       []SessionKeyRow
	Prompts           []PromptRow
	AreaPrefixes      []AreaPrefixRow
	Calendars         []CalendarRow
	CalendarWindows   []CalendarWindowRow
	CalendarHolidays  []CalendarHolidayRow
	ScreeningLists    []ScreeningListRow
	ScreeningEntries  []ScreeningEntryRow
	TranslationTables []TranslationTableRow
	Translations      []TranslationRow
	Distributions     []DistributionRow
	Branches          []BranchRow // table distribution_branch
	Tariffs           []TariffRow
	TariffRates       []TariffRateRow
	CallLimits        []CallLimitRow
	Scripts           []ScriptRow
	ScriptParameters  []ScriptParameterRow
	Steps             []StepRow
	StepExits         []StepExitRow
	Subscribers       []SubscriberRow
	Services          []ServiceRow
	ServiceParameters []ServiceParameterRow
	ServiceNumbers    []ServiceNumberRow

	// Accounts are for tools that look for mistakes. Engines ask for an account when a call needs it, and load none.
	Accounts []AccountRow
}

// AccountRow is who pays, and in what.
type AccountRow struct {
	Account  string
	Currency string // ISO 4217
}

// NumberingPlanRow says how dialled digits become E.164 (ITU-T E.164, E.123): international prefix stripped,
// national prefix replaced by the country code. The plan named "default" holds for trunks that name none.
type NumberingPlanRow struct {
	NumberingPlan       string
	CountryCode         string // 49
	InternationalPrefix string // 00
	NationalPrefix      string // 0; may be empty
}

// TrunkRow is a way out of (and into) a node; on Asterisk the PJSIP endpoint of the same name.
type TrunkRow struct {
	Trunk         string
	NumberingPlan string // empty: "default"
}

// NodeRow is an Asterisk node that may ask. SecretSHA256 is the SHA-256 of its secret (HTTP Basic), empty when
// it has none; CertificateName the subject common name or DNS name it may show by mutual TLS, empty when none.
type NodeRow struct {
	Node            string
	SecretSHA256    []byte
	CertificateName string
	Capacity        int // channels it may carry
	InService       bool
}

// SessionKeyRow is a key that signs session tokens. The newest is used to sign, all are accepted until they
// are deleted.
type SessionKeyRow struct {
	SessionKeyID int64
	Secret       []byte // 32 bytes
	CreatedAt    time.Time
}

// PromptRow is an announcement that scripts may play. File is the sound's name on the nodes, without language
// and extension (Asterisk: Playback).
type PromptRow struct {
	Prompt string
	File   string
}

// AreaPrefixRow puts callers whose number starts with Prefix (E.164) into Area; the longest prefix wins. The
// area is the call variable origin.
type AreaPrefixRow struct {
	Prefix string
	Area   string
}

// CalendarRow names a calendar and its time zone (IANA).
type CalendarRow struct {
	Calendar string
	TimeZone string
}

// CalendarWindowRow opens a calendar on the given weekdays from OpensAt to ClosesAt (seconds of the local day, 86400 = 24:00);
// ClosesAt ≤ OpensAt runs over midnight.
type CalendarWindowRow struct {
	CalendarWindowID int64
	Calendar         string
	Weekdays         string // bit string of seven, Monday first: 1111100
	OpensAt          int    // seconds since local midnight
	ClosesAt         int
	ValidFrom        time.Time // date, zero: always
	ValidTo          time.Time // date, inclusive, zero: for ever
}

// CalendarHolidayRow is a day on which the windows do not hold. Yearly: month and day count, not the year. OpensAt and
// ClosesAt, if not both zero, open the calendar on that day from–to nevertheless.
type CalendarHolidayRow struct {
	Calendar string
	Holiday  time.Time // date
	Name     string
	Yearly   bool
	OpensAt  int
	ClosesAt int
}

// ScreeningListRow is a list that the screen SIB asks. Match is "exact" or "prefix".
type ScreeningListRow struct {
	ScreeningList string
	Match         string
}

// ScreeningEntryRow is a member of a list, within its validity (zero times: unbounded; ValidTo exclusive).
type ScreeningEntryRow struct {
	ScreeningList string
	Entry         string
	ValidFrom     time.Time
	ValidTo       time.Time
}

// TranslationTableRow is a table that the translate SIB asks. Match is "exact" or "prefix" (longest wins).
type TranslationTableRow struct {
	TranslationTable string
	Match            string
}

// TranslationRow maps Key to Value. With a Trunk it is a target: Value is a number there.
type TranslationRow struct {
	TranslationTable string
	Key              string // empty in a prefix table: the default
	Value            string
	Trunk            string // empty: Value is plain text
}

// DistributionRow is a way to pick among branches. Method: percentage (by weight), circular (one after the other), hierarchical
// (all, in order: the next when one is busy) or hash (the same caller always gets the same branch, by weight).
type DistributionRow struct {
	Distribution string
	Method       string
}

// BranchRow is one choice of a distribution. With a Trunk its Value is a number there, as in TranslationRow.
type BranchRow struct {
	Distribution string
	Position     int
	Branch       string
	Weight       int // percentage and hash: share of the sum of weights
	Value        string
	Trunk        string
}

// TariffRow is a price list. Rounding: up, down, half_up or half_even, to RoundingUnit (micro-units).
type TariffRow struct {
	Tariff       string
	Currency     string // ISO 4217
	Rounding     string
	RoundingUnit int64
}

// TariffRateRow is a price of numbers with a prefix. Money is in micro-units; what is 0 in MaximumCharge and MaximumSeconds does not hold.
type TariffRateRow struct {
	TariffRateID     int64
	Tariff           string
	Prefix           string
	Calendar         string // empty: at all times at which no other rate holds
	PricePerMinute   int64
	ConnectFee       int64
	FirstIncrement   int64 // seconds
	FurtherIncrement int64
	FreeSeconds      int64
	MinimumCharge    int64
	MaximumCharge    int64
	MaximumSeconds   int64
	ValidFrom        time.Time // zero: since ever
	ValidTo          time.Time // zero: for ever
}

// CallLimitRow bounds how many calls may be up at once, begin within a window, or follow each other; 0: no such bound.
type CallLimitRow struct {
	CallLimit      string
	MaximumCalls   int64
	CallsPerWindow int64
	WindowSeconds  int64
	GapMillis      int64
}

// ScriptRow is a service's logic: steps, starting with FirstStep.
type ScriptRow struct {
	Script    string
	FirstStep string
}

// ScriptParameterRow declares a parameter that each service of the script may give. Type: calendar, call_limit, distribution, integer, number,
// prompt, screening_list, target, tariff, text, translation_table or trunk. DefaultValue is used where the service gives none; without one the parameter
// is required.
type ScriptParameterRow struct {
	Script       string
	Parameter    string
	Type         string
	DefaultValue *string
}

// StepRow is one step of a script: a SIB with its parameters (JSON object of strings, numbers and booleans, and lists of strings).
// In strings, ${name} stands for a call variable or a parameter of the service.
type StepRow struct {
	Script     string
	Step       string
	SIB        string
	Parameters []byte
}

// StepExitRow says which step follows when Step ends by Exit.
type StepExitRow struct {
	Script   string
	Step     string
	Exit     string
	NextStep string
}

// SubscriberRow is the customer who owns services.
type SubscriberRow struct {
	Subscriber string
}

// ServiceRow is an instance of a script.
type ServiceRow struct {
	Service    string
	Subscriber string
	Script     string
	Language   string // prompts' language, Asterisk's spelling: en, de
	Active     bool   // false: its numbers are answered as out of service (Q.850 cause 31)
	OnOutage   string // deny or allow: what steps do that need the ledger while it is away
	OutageCap  int64  // with allow: micro-units that one account may spend so within an hour
}

// ServiceParameterRow gives a parameter of a service's script its value.
type ServiceParameterRow struct {
	Service   string
	Parameter string
	Value     string
}

// ServiceNumberRow leads callers of Number to Service. Match: "exact", or "prefix" for a range (longest wins; exact
// wins over any prefix; the empty prefix catches every other number).
type ServiceNumberRow struct {
	Number  string // E.164 digits
	Match   string
	Service string
}
