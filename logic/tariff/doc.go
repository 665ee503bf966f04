// Package tariff is money for a duration, and duration for an amount: the price of a conversation, the seconds that an amount is good for, and the split of an amount
// into parts that add up.
//
// All of it is integers: amounts are micro-units (1,000,000 are one euro), durations whole seconds. Nothing is floating, so the same call costs the same on any machine, and an
// amount that is split is found again when its parts are added. The package knows no tables, numbers or times of day: which Rate holds is somebody else's business.
package tariff
