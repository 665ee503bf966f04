package bulk_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"ringmaster/store/bulk"
)

// TestAllWrongLines: every wrong line of all files is told, with its column, in order, and no line that is right.
func TestAllWrongLines(t *testing.T) {
	t.Parallel()
	conn := database(t, true)
	numbers := "number,match,service\n"
	for i := range 500 {
		numbers += fmt.Sprintf("49777%04d,exact,acme_hotline\n", i)
	}
	const services = "service,subscriber,script\n"
	parameters := func(name string) string {
		return fmt.Sprintf("%[1]s,hours,always\n%[1]s,offices,acme_offices\n%[1]s,elsewhere,acme_share\n%[1]s,second_office,4930@office\n", name)
	}
	before := ask[int64](t, conn, "SELECT revision FROM config_revision")
	for _, c := range []struct {
		name   string
		tables []string
		want   []string // places, in order
		more   bool
	}{
		{"of all kinds", []string{"service_number", numbers + "08001,exact,acme_hotline\n498001,exact,nobody\n498002,exact,acme_hotline\n498003,regex,acme_hotline\n+49,exact,acme_hotline\n"},
			[]string{"service_number.csv:502: column number", "service_number.csv:503: column service", "service_number.csv:505: column match", "service_number.csv:506: column number"}, false},
		{"first and last", []string{"area_prefix", "prefix,area\nx,a\n49,b\n4,c d\n"}, []string{"area_prefix.csv:2: column prefix", "area_prefix.csv:4: column area"}, false},
		{"no CSV", []string{"trunk", "trunk,description\na\nb,x\nc,x,y\nd,M\xfcller\ne,x\n"}, []string{"trunk.csv:2: ", "trunk.csv:4: ", "trunk.csv:5: column description"}, false},
		{"no CSV behind a quotation mark", []string{"trunk", "trunk,description\na\nb,\"x\nc\n"}, []string{"trunk.csv:2: ", "trunk.csv:"}, false},
		{"in two files", []string{"trunk", "trunk\na\nb c\n", "area_prefix", "prefix,area\n4x,a\n49,b\n"}, []string{"trunk.csv:3: column trunk", "area_prefix.csv:2: column prefix"}, false},
		{"keys twice", []string{"trunk", "trunk\na\nb\na\nc\nb\na\n"}, []string{"trunk.csv:4: ", "trunk.csv:6: ", "trunk.csv:7: "}, false},
		{"not what points to a wrong line", []string{"service", services + "new_one,nobody,freephone\nnew_two,acme,freephone\n", "service_parameter", "service,parameter,value\n" + parameters("new_one") + parameters("new_two"),
			"service_number", "number,match,service\n498009001,exact,new_one\n498009002,exact,new_two\n"}, []string{"service.csv:2: column subscriber"}, false},
		{"at COMMIT", []string{"service", services + "one,acme,freephone\ntwo,acme,freephone\nthree,acme,freephone\nfour,acme,freephone\n",
			"service_parameter", "service,parameter,value\none,hours,always\n" + parameters("two") + "three,hours,always\n" + strings.Replace(parameters("four"), "always", "sometimes", 1)},
			[]string{"service.csv:2: ", "service.csv:4: ", "service_parameter.csv:8: "}, false},
		{"more than are told", []string{"area_prefix", "prefix,area\n" + strings.Repeat("4x,a\n", 1) + badAreas(40)}, nil, true},
	} {
		_, err := load(t, conn, bulk.Options{}, c.tables...)
		var told *bulk.RowErrors
		if !errors.As(err, &told) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if told.More != c.more || c.more && (len(told.Rows) != bulk.MaxRowErrors || !strings.Contains(err.Error(), "there may be more")) {
			t.Errorf("%s: %d lines, more %v", c.name, len(told.Rows), told.More)
		}
		if !c.more && len(told.Rows) != len(c.want) {
			t.Errorf("%s: %d lines are told, want %d:\n%v", c.name, len(told.Rows), len(c.want), err)
			continue
		}
		for i, want := range c.want {
			if !strings.HasPrefix(told.Rows[i].Error(), want) {
				t.Errorf("%s: %v\nwant %q", c.name, told.Rows[i], want)
			}
		}
	}
	// Lines that are in order beside rows that the import deletes are no errors.
	if _, err := conn.Exec(context.Background(), "INSERT INTO calendar_holiday VALUES ('always', '2026-05-01', 'May Day', true)"); err != nil {
		t.Fatal(err)
	}
	before++
	_, err := load(t, conn, bulk.Options{Replace: true}, "calendar_holiday", "calendar,holiday,name,yearly\nalways,2027-05-01,May Day,true\nalways,someday,x,false\n")
	var told *bulk.RowErrors
	if !errors.As(err, &told) || len(told.Rows) != 1 || told.Rows[0].Line != 3 {
		t.Errorf("with replace: %v", err)
	}
	if after := ask[int64](t, conn, "SELECT revision FROM config_revision"); after != before {
		t.Errorf("refused imports have made revision %d of %d", after, before)
	}
}

func badAreas(n int) string {
	text := ""
	for i := range n {
		text += fmt.Sprintf("49x%d,a\n", i)
	}
	return text
}
