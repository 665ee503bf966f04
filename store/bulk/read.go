package bulk

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// file reads a CSV file record by record. It tells an empty field from "", which encoding/csv does not, and knows each record's line.
type file struct {
	name    string
	header  []string
	csv     *csv.Reader
	raw     tee
	line    int // of the record read last
	current []field
}

type field struct {
	text string
	null bool // nothing stands there, not even ""
}

// tee keeps what the CSV reader has taken in and not yet used up.
type tee struct {
	from io.Reader
	kept []byte
	at   int64 // offset of kept in the file
	line int   // at kept's beginning, counted from 1
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.from.Read(p)
	t.kept = append(t.kept, p[:n]...)
	return n, err
}

// drop forgets what comes before an offset.
func (t *tee) drop(offset int64) {
	n := int(offset - t.at)
	t.line += bytes.Count(t.kept[:n], []byte{'\n'})
	t.kept = t.kept[n:]
	t.at = offset
}

// byteAt is the byte at a line and column of what is kept.
func (t *tee) byteAt(line, column int) byte {
	rest := t.kept
	for skip := line - t.line; skip > 0; skip-- {
		rest = rest[bytes.IndexByte(rest, '\n')+1:]
	}
	if column > len(rest) {
		return 0
	}
	return rest[column-1]
}

// bom is what spreadsheets put before UTF-8.
var bom = []byte("\uFEFF")

// openFile reads the line of column names. Fields are apart by commas, or by semicolons when there is no comma in that line.
func openFile(name string, r io.Reader) (*file, error) {
	f := &file{name: name}
	var first []byte
	one := make([]byte, 1)
	for len(first) < 64<<10 && !bytes.HasSuffix(first, []byte{'\n'}) {
		n, err := r.Read(one)
		first = append(first, one[:n]...)
		if err != nil {
			break
		}
	}
	first = bytes.TrimPrefix(first, bom)
	f.raw = tee{from: io.MultiReader(bytes.NewReader(first), r), line: 1}
	f.csv = csv.NewReader(&f.raw)
	f.csv.ReuseRecord = true
	if !bytes.ContainsRune(first, ',') && bytes.ContainsRune(first, ';') {
		f.csv.Comma = ';'
	}
	header, err := f.csv.Read()
	if errors.Is(err, io.EOF) {
		return nil, &RowError{File: name, Line: 1, Reason: "the file is empty; its first line must name the columns"}
	}
	if err != nil {
		return nil, f.wrong(err)
	}
	for _, column := range header {
		f.header = append(f.header, strings.TrimSpace(column))
	}
	f.raw.drop(f.csv.InputOffset())
	return f, nil
}

// next reads a record; io.EOF after the last.
func (f *file) next() ([]field, error) {
	record, err := f.csv.Read()
	if errors.Is(err, io.EOF) {
		return nil, err
	}
	defer func() { f.raw.drop(f.csv.InputOffset()) }()
	if err != nil {
		return nil, f.wrong(err)
	}
	f.current = f.current[:0]
	f.line, _ = f.csv.FieldPos(0)
	for i, text := range record {
		if !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
			return nil, &RowError{File: f.name, Line: f.line, Column: f.header[i], Position: i + 1, Value: text, Reason: "it is not UTF-8 text: save the file as UTF-8"}
		}
		null := false
		if text == "" {
			line, column := f.csv.FieldPos(i)
			null = f.raw.byteAt(line, column) != '"'
		}
		f.current = append(f.current, field{text, null})
	}
	return f.current, nil
}

// wrong makes an error with its line of what the CSV reader says.
func (f *file) wrong(err error) error {
	var parse *csv.ParseError
	if !errors.As(err, &parse) {
		return fmt.Errorf("couldn't read %s: %w", f.name, err)
	}
	reason, ends := parse.Err.Error(), true // where a quotation mark is wrong, lines are where one guesses
	switch parse.Err {
	case csv.ErrFieldCount:
		ends = false
		reason = fmt.Sprintf("the line has another number of fields than the %d columns that the first line names", len(f.header))
	case csv.ErrQuote, csv.ErrBareQuote:
		reason = fmt.Sprintf(`a quotation mark is not closed, or stands alone (column %d of the line): write "" for one within quotation marks`, parse.Column)
	}
	return &RowError{File: f.name, Line: parse.Line, Reason: reason, ends: ends}
}

// check compares the column names with those of the table.
func (f *file) check(t *table) error {
	fail := func(position int, column, format string, args ...any) error {
		return &RowError{File: f.name, Line: 1, Column: column, Position: position, Reason: fmt.Sprintf(format, args...)}
	}
	for i, name := range f.header {
		if _, ok := t.column(name); !ok {
			if slices.Contains(secretColumns, t.name+"."+name) {
				return fail(i+1, name, "it is secret and cannot be imported: leave the column out")
			}
			return fail(i+1, name, "table %s has no such column to import; it has: %s", t.name, strings.Join(t.names(), ", "))
		}
		if slices.Contains(f.header[:i], name) {
			return fail(i+1, name, "the column stands twice")
		}
	}
	for _, name := range t.key {
		if c, _ := t.column(name); !c.optional && !slices.Contains(f.header, name) {
			return fail(0, name, "the column is missing: the key of %s is %s", t.name, strings.Join(t.key, ", "))
		}
	}
	return nil
}
