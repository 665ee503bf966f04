package call

import (
	"ringmaster/logic/charging"
	"ringmaster/logic/tariff"
)

// blind writes a charge that the ledger does not know yet, with its terms. The name of the rate would be too long: the tariff's stands for it.
func (e *encoder) blind(b *charging.Blind) {
	e.integer(int64(b.Number))
	e.integer(b.Granted)
	t := &b.Terms
	for _, text := range [...]string{t.Tariff, t.Number, t.Currency} {
		e.text(text)
	}
	e.integer(t.Maximum)
	p := &t.Price
	for _, n := range [...]int64{p.ConnectFee, p.PricePerMinute, p.FirstIncrement, p.FurtherIncrement, p.FreeSeconds, p.MinimumCharge, p.MaximumCharge,
		p.MaximumSeconds, int64(p.Rounding), p.RoundingUnit} {
		e.integer(n)
	}
	e.integer(int64(len(t.Payers)))
	for i := range t.Payers {
		e.party(&t.Payers[i])
	}
	e.party(&t.Credit)
}

func (e *encoder) party(p *charging.Party) {
	// One of the two is given.
	e.boolean(p.Account != "")
	e.text(p.Account + p.Number)
	e.integer(p.Parts)
}

// blind reads what encoder.blind wrote.
func (d *decoder) blind() (b charging.Blind) {
	b.Number = int(d.integer())
	b.Granted = d.integer()
	t := &b.Terms
	for _, text := range [...]*string{&t.Tariff, &t.Number, &t.Currency} {
		*text = d.text()
	}
	t.Rate = t.Tariff
	t.Maximum = d.integer()
	p := &t.Price
	var rounding int64
	for _, n := range [...]*int64{&p.ConnectFee, &p.PricePerMinute, &p.FirstIncrement, &p.FurtherIncrement, &p.FreeSeconds, &p.MinimumCharge, &p.MaximumCharge,
		&p.MaximumSeconds, &rounding, &p.RoundingUnit} {
		*n = d.integer()
	}
	p.Rounding = tariff.Rounding(rounding)
	for range d.count() {
		t.Payers = append(t.Payers, d.party())
	}
	t.Credit = d.party()
	return b
}

func (d *decoder) party() charging.Party {
	named, text, parts := d.boolean(), d.text(), d.integer()
	if named {
		return charging.Party{Account: text, Parts: parts}
	}
	return charging.Party{Number: text, Parts: parts}
}
