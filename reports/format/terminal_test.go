package format_test

import (
	"strings"
	"testing"

	"bittern/reports"
	"bittern/reports/format"
	"bittern/reports/table"
)

func TestATerminalHoldsEveryLine(t *testing.T) {
	t.Parallel()
	r := golden(t)
	hostile := golden(t)
	hostile.Networks[0].Quantizer = "a-" + strings.Repeat("very-", 30) + "long-name"
	for _, report := range []*reports.Report{r, hostile} {
		for _, width := range []int{50, 60, 80, 100, 120} {
			out := written(t, report, format.Terminal, reports.View{Width: width, Parts: true})
			for text := range strings.Lines(out) {
				if got := table.Width(text); got > width && strings.Contains(strings.TrimSpace(text), " ") {
					t.Errorf("at %d characters a line has %d: %s", width, got, text)
				}
			}
			if dropped := strings.Contains(out, "Left out to fit the terminal: "); width < 100 && !dropped {
				t.Errorf("at %d characters nothing is left out:\n%s", width, out)
			}
			if strings.Contains(out, "\x1b") {
				t.Error("colours that nobody asked for")
			}
		}
	}
	wide := written(t, r, format.Terminal, reports.View{Width: 40, Wide: true, Color: true})
	if strings.Contains(wide, "Left out to fit") || !strings.Contains(wide, "experiment e98cb52aa8fc74e2, steps 0 to 1000") {
		t.Errorf("a wide view is not whole:\n%s", wide)
	}
	coloured := written(t, r, format.Terminal, reports.View{Width: 80, Color: true})
	if !strings.HasPrefix(coloured, "\x1b[1mgolden\x1b[0m\n") {
		t.Errorf("headings are not bold:\n%s", coloured)
	}
}
