package builtin_test

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"bittern/plugins/quantizer"
)

// The table in docs/plugins.md has every quantizer, with its bits and bytes as it packs an LSTM of
// 512 units for the 87 symbols of War & Peace.
func TestDocsListEveryQuantizer(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/plugins.md")
	must(t, err)
	for _, make := range quantizers {
		q := make()
		shapes := []quantizer.Shape{{Name: "Wx", Rows: 4 * 512, Cols: 87}, {Name: "Wh", Rows: 4 * 512, Cols: 512}}
		d, _ := openQuantizer(t, q, shapes...)
		frozen, err := q.Freeze(t.Context(), quantizer.Draw{})
		must(t, err)
		bits, bytes := 0, 0
		for i, shape := range shapes {
			m, err := frozen[i].Pack(shape.Rows, shape.Cols)
			must(t, err)
			bits, bytes = m.Bits(), bytes+m.CodeBytes()+m.LevelBytes()
		}
		row := fmt.Sprintf("| `%s` | %d | %.1f |", d.Name, bits, float64(bytes)/1000)
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(row)).Match(text) {
			t.Errorf("the table of quantizers in docs/plugins.md has no row %q", row)
		}
	}
}
