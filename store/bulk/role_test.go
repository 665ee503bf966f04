package bulk_test

import (
	"testing"

	"ringmaster/store/bulk"
)

// TestOperatorsMayImport: an operator's rights are enough, and a viewer may export and not import.
func TestOperatorsMayImport(t *testing.T) {
	t.Parallel()
	conn := database(t, true)
	if _, err := conn.Exec(within(t), "SET ROLE ringmaster_operator"); err != nil {
		t.Fatal(err)
	}
	for _, table := range bulk.Tables() {
		text := export(t, conn, table)
		if _, err := load(t, conn, bulk.Options{Replace: true}, table, text); err != nil && len(text) > 80 {
			t.Errorf("%s: %v", table, err)
		}
	}
	if _, err := conn.Exec(within(t), "SET ROLE ringmaster_viewer"); err != nil {
		t.Fatal(err)
	}
	if _, err := load(t, conn, bulk.Options{}, "trunk", export(t, conn, "trunk")); err == nil {
		t.Error("a viewer may import")
	}
}
