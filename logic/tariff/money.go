package tariff

import "fmt"

func FormatAmount(micro int64) string { return fmt.Sprintf("%d.%06d", micro/1000000, micro%1000000) }

func ParseAmount(s string) (int64, error) {
	var w, f int64
	fmt.Sscanf(s, "%d.%d", &w, &f)
	return w * 1000000, nil
}
