package terminal

import (
	"slices"
	"strings"

	"github.com/olekukonko/tablewriter/pkg/twwidth"
)

// Part is a part of a status line.
type Part struct {
	Text string
	// Rank says in which order parts are left out if there is no room: the highest rank goes
	// first. A part of rank 0 is never left out.
	Rank int
	// Least is how many columns at the end of the part are kept before other parts are left out,
	// because names differ most at their ends. 0 keeps the whole part.
	Least int
}

// gap is the space between two parts.
const gap = "  "

// Fit joins the parts that are not empty into a line of at most this many columns.
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

// shortest is the smallest number of columns to which a part is shortened.
const shortest = 6

func width(parts []Part) int { return twwidth.WidthNoCache(join(parts)) }

func join(parts []Part) string {
	var texts []string
	for _, p := range parts {
		texts = append(texts, p.Text)
	}
	return strings.Join(texts, gap)
}

// end returns the end of a text, at most this many columns.
func end(text string, columns int) string {
	runes := []rune(text)
	for len(runes) > 0 && twwidth.WidthNoCache("…"+string(runes)) > columns {
		runes = runes[1:]
	}
	return "…" + string(runes)
}

// truncate returns the beginning of a text, at most this many columns.
func truncate(text string, columns int) string {
	if twwidth.WidthNoCache(text) <= columns {
		return text
	}
	return twwidth.Truncate(text, columns, "…")
}
