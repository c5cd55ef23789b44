package page

import (
	"fmt"
	"math"
	"time"

	"midden/internal/plain"
	"midden/internal/report"
)

// chart is a row of columns, one a day, in a drawing of chartWidth by chartHeight.
type chart struct {
	ID, Title, Description string
	Width, Height          int
	Top, Base              int    // where the largest column ends, and all begin
	Most                   string // the largest value
	Columns                []column
	Labels                 []label
}

type column struct {
	X, Y, Width, Height string
	Text                string
}

type label struct {
	X      string
	Anchor string // start, middle or end
	Text   string
}

const (
	chartWidth  = 320
	chartHeight = 116
	chartTop    = 18
	chartBase   = 96
)

// charts draws what happened by day; nothing if there is one day only.
func charts(d *report.Document) []chart {
	if len(d.Days) < 2 {
		return nil
	}
	var out []chart
	for _, series := range []struct {
		id, title string
		of        func(report.Day) int64
	}{
		{"sessions", "Sessions", func(d report.Day) int64 { return d.Sessions }},
		{"logins", "Logins", func(d report.Day) int64 { return d.Logins }},
		{"transfers", "Transfers", func(d report.Day) int64 { return d.Transfers }},
	} {
		c := chart{ID: "chart-" + series.id, Title: series.title + " by day",
			Width: chartWidth, Height: chartHeight, Top: chartTop, Base: chartBase}
		var most, sum int64
		peak := d.Days[0].Date
		for _, day := range d.Days {
			n := series.of(day)
			if sum += n; n > most {
				most, peak = n, day.Date
			}
		}
		c.Most = plain.Count(most)
		c.Description = fmt.Sprintf("%s in %d days. The table has the number of each day.", plain.Count(sum), len(d.Days))
		if most > 0 {
			c.Description = fmt.Sprintf("%s in %d days, the most on %s: %s. The table has the number of each day.",
				plain.Count(sum), len(d.Days), shown(peak), c.Most)
		}
		step := float64(chartWidth) / float64(len(d.Days))
		gap := min(step/4, 6)
		for i, day := range d.Days {
			n := series.of(day)
			height := 0.0
			if most > 0 && n > 0 {
				height = math.Max(1, float64(chartBase-chartTop)*float64(n)/float64(most))
			}
			c.Columns = append(c.Columns, column{
				X: tenth(float64(i)*step + gap/2), Width: tenth(step - gap),
				Y: tenth(chartBase - height), Height: tenth(height),
				Text: shown(day.Date) + ": " + plain.Count(n),
			})
		}
		c.Labels = dayLabels(d.Days, step)
		out = append(out, c)
	}
	return out
}

// dayLabels names each day if there is room, or else the first and the last.
func dayLabels(days []report.Day, step float64) []label {
	if len(days) <= 8 {
		var out []label
		for i, day := range days {
			out = append(out, label{tenth((float64(i) + 0.5) * step), "middle", short(day.Date, "Mon 2")})
		}
		return out
	}
	return []label{
		{"0", "start", short(days[0].Date, "2 Jan")},
		{tenth(chartWidth), "end", short(days[len(days)-1].Date, "2 Jan")},
	}
}

func short(date, form string) string {
	t, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return shown(date)
	}
	return t.Format(form)
}

// tenth writes a length with at most one digit behind the point.
func tenth(x float64) string { return fmt.Sprintf("%g", math.Round(10*x)/10) }
