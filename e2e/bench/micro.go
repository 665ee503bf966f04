package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
)

// comparison is one of our benchmarks beside that of the usual other way, in the same package and run.
type comparison struct {
	figure, ours         string
	otherFigure, another string
}

var comparisons = []struct {
	folder, pattern string
	of              []comparison
}{
	{"./rpc/wire", "^Benchmark(ParseCallRead|ParseCallEncodingXML|EncodeResponse|EncodeResponseEncodingXML)$", []comparison{
		{"decode", "ParseCallRead", "decode_encoding_xml", "ParseCallEncodingXML"},
		{"encode", "EncodeResponse", "encode_encoding_xml", "EncodeResponseEncodingXML"},
	}},
	{"./logic/prefix", "^BenchmarkLongest$", []comparison{
		{"prefix_sparse", "Longest/sparse/trie", "prefix_sparse_map_per_length", "Longest/sparse/map-per-length"},
		{"prefix_dense", "Longest/dense/trie", "prefix_dense_map_per_length", "Longest/dense/map-per-length"},
		{"prefix_deck", "Longest/deck/trie", "prefix_deck_map_per_length", "Longest/deck/map-per-length"},
	}},
}

var benchmarkLine = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([0-9.]+) ns/op`)

// micro runs the packages' own benchmarks of what we wrote ourselves, and of what it was written instead of.
func (b *bench) micro(ctx context.Context) error {
	for _, p := range comparisons {
		out, err := run(ctx, nil, "go", "test", "-run", "^$", "-bench", p.pattern, "-benchtime", b.microTime, p.folder)
		if err != nil {
			return err
		}
		took := make(map[string]float64)
		for _, m := range benchmarkLine.FindAllSubmatch(out, -1) {
			if took[string(m[1])], err = strconv.ParseFloat(string(m[2]), 64); err != nil {
				return fmt.Errorf("couldn't read the result of a benchmark: %w", err)
			}
		}
		for _, c := range p.of {
			ours, other := took[c.ours], took[c.another]
			if ours == 0 || other == 0 {
				return fmt.Errorf("%s has no benchmark %s or no %s:\n%s", p.folder, c.ours, c.another, out)
			}
			figure(c.figure+"_ns", ours, "ns")
			figure(c.otherFigure+"_ns", other, "ns")
			figure(c.figure+"_speedup", other/ours, "ratio")
		}
	}
	return nil
}
