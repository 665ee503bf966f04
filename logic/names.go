package logic

import (
	"time"

	"ringmaster/logic/call"
	"ringmaster/logic/rows"
	"ringmaster/logic/script"
)

// The call model, the scripts and the rows have packages of their own, for a reader's sake; who asks for decisions finds all of it here.
type (
	Session      = call.Session
	Variable     = call.Variable
	Presentation = call.Presentation
	Target       = call.Target
	Leg          = call.Leg
	Record       = call.Record
	Status       = call.Status
	Result       = call.Result
	Op           = call.Op
	Instruction  = call.Instruction
	Keys         = call.Keys
	TokenState   = call.TokenState
	CDR          = call.CDR
	CallOutcome  = call.Outcome
	EndEvent     = call.EndEvent

	Event    = script.Event
	Ask      = script.Ask
	Outcome  = script.Outcome
	Trace    = script.Trace
	Decision = script.Decision

	Problem             = rows.Problem
	Rows                = rows.Rows
	NumberingPlanRow    = rows.NumberingPlanRow
	TrunkRow            = rows.TrunkRow
	NodeRow             = rows.NodeRow
	SessionKeyRow       = rows.SessionKeyRow
	PromptRow           = rows.PromptRow
	AreaPrefixRow       = rows.AreaPrefixRow
	CalendarRow         = rows.CalendarRow
	CalendarWindowRow   = rows.CalendarWindowRow
	CalendarHolidayRow  = rows.CalendarHolidayRow
	ScreeningListRow    = rows.ScreeningListRow
	ScreeningEntryRow   = rows.ScreeningEntryRow
	TranslationTableRow = rows.TranslationTableRow
	TranslationRow      = rows.TranslationRow
	DistributionRow     = rows.DistributionRow
	BranchRow           = rows.BranchRow
	CallLimitRow        = rows.CallLimitRow
	TariffRow           = rows.TariffRow
	TariffRateRow       = rows.TariffRateRow
	ScriptRow           = rows.ScriptRow
	ScriptParameterRow  = rows.ScriptParameterRow
	StepRow             = rows.StepRow
	StepExitRow         = rows.StepExitRow
	SubscriberRow       = rows.SubscriberRow
	ServiceRow          = rows.ServiceRow
	ServiceParameterRow = rows.ServiceParameterRow
	ServiceNumberRow    = rows.ServiceNumberRow
	AccountRow          = rows.AccountRow
)

// Limits of one call; see package call.
const (
	RedirectBudget   = call.RedirectBudget
	StepBudget       = call.StepBudget
	MaxTargets       = call.MaxTargets
	MaxVariables     = call.MaxVariables
	MaxValueLength   = call.MaxValueLength
	MaxVariableBytes = call.MaxVariableBytes
	MaxRecords       = call.MaxRecords
	MaxRecordLength  = call.MaxRecordLength
	MaxLegs          = call.MaxLegs
	MaxPathLength    = call.MaxPathLength
	MaxNumberLength  = call.MaxNumberLength
	MaxNameLength    = call.MaxNameLength
	MaxFileLength    = call.MaxFileLength
	MaxBlind         = call.MaxBlind
	MaxTokenLength   = call.MaxTokenLength
)

// Words of the call model; see package call.
const (
	PresentationAllowed     = call.PresentationAllowed
	PresentationRestricted  = call.PresentationRestricted
	PresentationUnavailable = call.PresentationUnavailable
	StatusDone              = call.StatusDone
	StatusDigits            = call.StatusDigits
	StatusTimeout           = call.StatusTimeout
	StatusAnswer            = call.StatusAnswer
	StatusBusy              = call.StatusBusy
	StatusNoAnswer          = call.StatusNoAnswer
	StatusUnreachable       = call.StatusUnreachable
	StatusHangup            = call.StatusHangup
	StatusFailed            = call.StatusFailed
	OpAnswer                = call.OpAnswer
	OpPlay                  = call.OpPlay
	OpCollect               = call.OpCollect
	OpConnect               = call.OpConnect
	OpContinue              = call.OpContinue
	OpRelease               = call.OpRelease
	TokenGood               = call.TokenGood
	TokenInvalid            = call.TokenInvalid
	TokenExpired            = call.TokenExpired
	TokenOtherNode          = call.TokenOtherNode
	CallAnswered            = call.OutcomeAnswered
	CallBusy                = call.OutcomeBusy
	CallNoAnswer            = call.OutcomeNoAnswer
	CallUnreachable         = call.OutcomeUnreachable
	CallAbandoned           = call.OutcomeAbandoned
	CallReleased            = call.OutcomeReleased
	CallContinued           = call.OutcomeContinued
	CallFallback            = call.OutcomeFallback
)

// What happens to a call, and what is asked for it; see package script.
const (
	EventStart  = script.EventStart
	EventReport = script.EventReport
	EventAnswer = script.EventAnswer
	AskNothing  = script.AskNothing
	AskTurn     = script.AskTurn
	AskLedger   = script.AskLedger
)

// ValidNumber reports whether s is a number that may travel to a node; see package call.
func ValidNumber(s string) bool { return call.ValidNumber(s) }

// ValidName reports whether s may name a trunk or, as a path, a sound file; see package call.
func ValidName(s string, path bool) bool { return call.ValidName(s, path) }

// EndCall says what a call came to; see package call.
func EndCall(ended *Session, end EndEvent, now time.Time) CDR { return call.EndCall(ended, end, now) }

// FallbackCDR is the record of a call that no engine was asked about; see package call.
func FallbackCDR(ended *Session, end EndEvent, now time.Time) CDR {
	return call.FallbackCDR(ended, end, now)
}

// ParseStatus is the opposite of Status.String.
func ParseStatus(text string) (Status, bool) { return call.ParseStatus(text) }

// ParsePresentation is the opposite of Presentation.String.
func ParsePresentation(text string) (Presentation, bool) { return call.ParsePresentation(text) }

// ParseOp is the opposite of Op.String.
func ParseOp(text string) (Op, bool) { return call.ParseOp(text) }
