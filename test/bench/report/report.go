// Package report keeps what was measured, and shows it: as a table in Markdown beside what
// must be reached, and as JSON for whoever follows it over time.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/claviger-dev/claviger/test/bench/stats"
)

// Row is one line of the table.
type Row struct {
	// What was measured.
	What string
	// Measured and Bare are the absolute figures of the verifier and of what it is compared with;
	// empty where there is no such thing.
	Measured, Bare string
	// Metric is the figure's name in the JSON.
	Metric string
	// Value is the figure, in Unit ("ratio" for quotients), and Low and High hold the
	// middle half of what the slices of time gave; both zero: it was measured once.
	Value, Low, High float64
	Unit             string
}

// FromSample makes a row of the median and the quartiles.
func FromSample(what, metric, unit string, sample stats.Sample) Row {
	low, high := sample.Quartiles()
	return Row{What: what, Metric: metric, Unit: unit, Value: sample.Median(), Low: low, High: high}
}

// Report is the rows of a run. Rows are printed as they come, too: the whole takes minutes.
type Report struct {
	// Progress gets each row at once.
	Progress io.Writer
	sections []section
}

type section struct {
	title string
	rows  []Row
	notes []string
}

// Section begins a part of the table.
func (r *Report) Section(title string) {
	r.sections = append(r.sections, section{title: title})
	fmt.Fprintf(r.Progress, "\n%s\n", title)
}

// Add adds a row to the last section.
func (r *Report) Add(row Row) {
	last := &r.sections[len(r.sections)-1]
	last.rows = append(last.rows, row)
	fmt.Fprintf(r.Progress, "  %-62s %14s %s\n", row.What, figure(row.Value, row.Unit), verdict(row))
}

// Note adds a sentence to the last section, about what is not in its table.
func (r *Report) Note(sentence string) {
	last := &r.sections[len(r.sections)-1]
	last.notes = append(last.notes, sentence)
	fmt.Fprintf(r.Progress, "  %s\n", sentence)
}

// Write writes the table in Markdown.
func (r *Report) Write(w io.Writer) {
	for _, s := range r.sections {
		fmt.Fprintf(w, "\n### %s\n\n", s.title)
		for _, sentence := range s.notes {
			fmt.Fprintf(w, "%s\n\n", sentence)
		}
		if len(s.rows) == 0 {
			continue
		}
		fmt.Fprint(w, "| what | verifier | bare | figure | middle half | must reach | aim | |\n|---|---|---|---|---|---|---|---|\n")
		for _, row := range s.rows {
			must, aim := bounds(row)
			fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s |\n",
				row.What, row.Measured, row.Bare, figure(row.Value, row.Unit), spread(row), must, aim, verdict(row))
		}
	}
}

// WriteJSON writes every figure that has a name.
func (r *Report) WriteJSON(w io.Writer) error {
	type figure struct {
		Name  string  `json:"name"`
		Value float64 `json:"value"`
		Unit  string  `json:"unit"`
	}
	figures := []figure{}
	for _, s := range r.sections {
		for _, row := range s.rows {
			if row.Metric != "" {
				figures = append(figures, figure{row.Metric, row.Value, row.Unit})
			}
		}
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(figures)
}

// figure writes three digits that matter, and all of a large number.
func figure(value float64, unit string) string {
	switch {
	case unit == "ratio":
		return strconv.FormatFloat(value, 'f', 3, 64)
	case value >= 100 || value == float64(int64(value)):
		return Count(value) + " " + unit
	}
	return strconv.FormatFloat(value, 'f', 2, 64) + " " + unit
}

// Count writes a large number so that people can read it.
func Count(value float64) string {
	digits := strconv.FormatFloat(value, 'f', 0, 64)
	first, negative := 0, digits[0] == '-'
	if negative {
		first = 1
	}
	for i := len(digits) - 3; i > first; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func spread(row Row) string {
	if row.Low == 0 && row.High == 0 {
		return ""
	}
	return figure(row.Low, row.Unit) + " – " + figure(row.High, row.Unit)
}
