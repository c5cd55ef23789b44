package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"midden/internal/cli/render"
	"midden/internal/report"
	"midden/internal/report/page"
)

// reportStream writes reports one behind the other, or as an array of JSON if there
// may be several.
func (a *app) reportStream(w io.Writer, o *reportOptions, each func(func(*report.Document) error) error) error {
	if a.format == render.JSON && o.all {
		separator := "[\n  "
		err := each(func(d *report.Document) error {
			text, err := d.JSON(true, "  ")
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(w, "%s%s", separator, text)
			separator = ",\n  "
			return err
		})
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, "\n]\n")
		return err
	}
	separator := ""
	return each(func(d *report.Document) error {
		if _, err := io.WriteString(w, separator); err != nil {
			return err
		}
		if a.format != render.JSONL {
			separator = "\n"
		}
		return writeReport(w, a.format, d, o.section)
	})
}

// reportFiles writes a report into the directory: a file, or as CSV one for each section.
func (a *app) reportFiles(d *report.Document, o *reportOptions) error {
	sections := []string{o.section}
	if a.format == render.CSV && o.section == "" {
		sections = report.SectionNames()
	}
	for _, section := range sections {
		path := filepath.Join(o.dir, reportName(d, section, a.format))
		err := writeFile(path, func(w io.Writer) error { return writeReport(w, a.format, d, section) })
		if err != nil {
			return err
		}
		a.hint("%s", path)
	}
	return nil
}

// reportName returns the name of a file for a report, or a section of it.
func reportName(d *report.Document, section string, f render.Format) string {
	parts := []string{d.ReportType + "-" + strings.ReplaceAll(d.Date, "/", "_")}
	if !d.AllSensors {
		parts = append(parts, nameOf(d.Sensor))
	}
	if section != "" {
		parts = append(parts, section)
	}
	ends := map[render.Format]string{render.Table: "txt", markdown: "md"}
	end, ok := ends[f]
	if !ok {
		end = string(f)
	}
	return strings.Join(append(parts, end), ".")
}

// nameOf returns a text as a part of a file's name: anything but letters, digits, -
// and _ is written %XX. Sensors name themselves in their logs.
func nameOf(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() > 120 { // a name has 255 bytes at the most
		sum := sha256.Sum256([]byte(text))
		return b.String()[:100] + hex.EncodeToString(sum[:8])
	}
	return b.String()
}

// writeReport writes a report, or a section of it.
func writeReport(w io.Writer, f render.Format, d *report.Document, section string) error {
	switch f {
	case markdown:
		return page.Markdown(w, d)
	case html:
		return page.HTML(w, d)
	case render.JSON, render.JSONL:
		text, err := d.JSON(f == render.JSON, "")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%s\n", text)
		return err
	}
	sections := d.Sections()
	if section != "" {
		i := slices.IndexFunc(sections, func(s report.Section) bool { return s.Name == section })
		return writeSection(w, f, &sections[i])
	}
	separator := ""
	for _, s := range sections {
		if len(s.Rows) == 0 {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s%s\n", separator, render.Escape(s.Heading())); err != nil {
			return err
		}
		separator = "\n"
		if err := writeSection(w, f, &s); err != nil {
			return err
		}
	}
	return nil
}

// writeSection writes a section as a table or as CSV.
func writeSection(w io.Writer, f render.Format, s *report.Section) error {
	if f == render.Table && s.Record {
		fields := make([]render.Field, len(s.Columns))
		for i, c := range s.Columns {
			fields[i] = render.Field{Name: c.Name, Title: c.Title, Kind: kinds[c.Kind], Value: sectionValue(f, c, s.Rows[0][i])}
		}
		return render.Record(w, f, fields)
	}
	if f == render.Table && s.Sentences() {
		for _, row := range s.Rows {
			if _, err := fmt.Fprintf(w, "- %s\n", render.Escape(render.Defang(row[0].(string)))); err != nil {
				return err
			}
		}
		return nil
	}
	columns := make([]render.Column, len(s.Columns))
	for i, c := range s.Columns {
		columns[i] = render.Column{Name: c.Name, Title: strings.ToUpper(c.Title), Kind: kinds[c.Kind], Optional: c.Optional}
	}
	out := render.New(w, f, columns)
	for _, row := range s.Rows {
		values := make([]any, len(row))
		for i, v := range row {
			values[i] = sectionValue(f, s.Columns[i], v)
		}
		if err := out.Row(values...); err != nil {
			return err
		}
	}
	if err := out.Close(); err != nil {
		return err
	}
	if n := s.More(); n > 0 && f == render.Table {
		_, err := fmt.Fprintf(w, "and %d more\n", n)
		return err
	}
	return nil
}

// kinds are the kinds of a section's columns in other words.
var kinds = map[report.Kind]render.Kind{
	report.Text: render.Text, report.Host: render.Text, report.Prose: render.Text,
	report.Hash: render.Hash, report.Time: render.Time, report.Bytes: render.Bytes, report.Seconds: render.Duration,
	report.Number: render.Int, report.Share: render.Int, report.Average: render.Int, report.Percent: render.Int,
}

// sectionValue makes a value ready for render: what is not known is absent, and a table
// has no more digits than people read.
func sectionValue(f render.Format, c report.Column, v any) any {
	switch v := v.(type) {
	case string:
		if c.Optional {
			return text(v)
		}
	case float64:
		if f == render.Table && c.Kind != report.Seconds {
			return math.Round(10*v) / 10
		}
	}
	return v
}
