package terminal

import (
	"slices"
	"strings"

	"github.com/olekukonko/tablewriter/pkg/twwidth"
)

// Part is a part of a status line.
type Part struct {
	Text string
	// Rank says how soon the part is left out if there is no room: the highest goes
	// first, and one of rank 0 stays.
	Rank int
	// Least, if it is not 0, is how many columns of its end are kept before other parts
	// are left out: names differ most at their end.
	Least int
}

// gap stands between two parts.
const gap = "  "

// Fit joins the parts that are not empty into a line of at most the given columns.
func Fit(columns int, parts ...Part) string {
	parts = slices.DeleteFunc(slices.Clone(parts), func(p Part) bool { return p.Text == "" })
	for {
		excess := width(parts) - columns
		if excess <= 0 {
			break
		}
		if i := slices.IndexFunc(parts, func(p Part) bool { return p.Least > 0 && twwidth.WidthNoCache(p.Text) > p.Least }); i >= 0 {
			parts[i].Text = end(parts[i].Text, max(parts[i].Least, twwidth.WidthNoCache(parts[i].Text)-excess))
			continue
		}
		last := 0
		for i, p := range parts {
			if p.Rank > parts[last].Rank {
				last = i
			}
		}
		if parts[last].Rank > 0 {
			parts = slices.Delete(parts, last, last+1)
			continue
		}
		i := slices.IndexFunc(parts, func(p Part) bool { return p.Least > shortest })
		if i < 0 {
			break
		}
		parts[i].Least = shortest
	}
	return truncate(join(parts), columns)
}

// shortest is how many columns of a part are worth showing.
const shortest = 6

func width(parts []Part) int { return twwidth.WidthNoCache(join(parts)) }

func join(parts []Part) string {
	var texts []string
	for _, p := range parts {
		texts = append(texts, p.Text)
	}
	return strings.Join(texts, gap)
}

// end is the end of a text in at most so many columns.
func end(text string, columns int) string {
	runes := []rune(text)
	for len(runes) > 0 && twwidth.WidthNoCache("…"+string(runes)) > columns {
		runes = runes[1:]
	}
	return "…" + string(runes)
}

// truncate is the beginning of a text in at most so many columns.
func truncate(text string, columns int) string {
	if twwidth.WidthNoCache(text) <= columns {
		return text
	}
	return twwidth.Truncate(text, columns, "…")
}
