package table

import (
	"slices"
	"strings"
	"testing"
)

func sample(t *testing.T) *Table {
	t.Helper()
	table := New("plugin", "version", "summary", "where")
	table.Rank(1, 1)
	table.Rank(2, 3)
	table.Fold(2)
	for _, row := range [][]string{
		{"stochastic-binary", "1.1.0", "weights ±α drawn at every step by their latent weight", "built in"},
		{"none", "1.0.0", "full precision", "/home/somebody/plugins.local/bittern-quantizer-none"},
	} {
		if err := table.Append(row...); err != nil {
			t.Fatal(err)
		}
	}
	return table
}

// The column with the highest rank goes first, and only then is text folded.
func TestFit(t *testing.T) {
	t.Parallel()
	got, left, err := sample(t).Fit(60)
	if err != nil {
		t.Fatal(err)
	}
	want := `plugin             version  summary
──────────────────────────────────────────────────────────
stochastic-binary  1.1.0    weights ±α drawn at every step
                            by their latent weight
none               1.0.0    full precision
`
	if got != want || !slices.Equal(left, []string{"where"}) {
		t.Errorf("without %q:\n%s\nwant without where:\n%s", left, got, want)
	}
}

// At every width that has room for what stays, each line fits, no word is broken and
// none is lost.
func TestFitAtEveryWidth(t *testing.T) {
	t.Parallel()
	const least = 17 + gap + leastFolded
	whole, left, err := sample(t).Fit(0)
	if err != nil || left != nil || Width(whole) != 17+gap+7+gap+53+gap+51 {
		t.Fatalf("without a bound: %v, left out %q, %d characters", err, left, Width(whole))
	}
	before := len(left)
	for width := Width(whole); width >= least; width-- {
		text, left, err := sample(t).Fit(width)
		if err != nil || Width(text) > width {
			t.Fatalf("at %d: %v, %d characters", width, err, Width(text))
		}
		if len(left) < before {
			t.Errorf("at %d characters %q are left out, fewer than where there was more room", width, left)
		}
		before = len(left)
		words := strings.Fields(text)
		for word := range strings.FieldsSeq("stochastic-binary weights ±α drawn at every step by their latent weight none full precision") {
			if !slices.Contains(words, word) {
				t.Errorf("at %d characters %q is missing in\n%s", width, word, text)
			}
		}
	}
	if before != 2 {
		t.Errorf("at %d characters %d columns are left out, want both that may go", least, before)
	}
}

// Where nothing may go, the table is as wide as its words are.
func TestFitKeepsWhatHasNoRank(t *testing.T) {
	t.Parallel()
	text, left, err := sample(t).Fit(10)
	if err != nil || Width(text) > 17+gap+leastFolded || Width(text) <= 10 || len(left) != 2 {
		t.Errorf("%v, left out %q, %d characters wide:\n%s", err, left, Width(text), text)
	}
}
