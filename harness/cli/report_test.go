package cli

import "testing"

func TestColoursObeyTheEnvironment(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		noColor, term string
		want          bool
	}{{"", "xterm-256color", true}, {"1", "xterm-256color", false}, {"0", "xterm", false}, {"", "dumb", false}} {
		environment := map[string]string{"NO_COLOR": c.noColor, "TERM": c.term}
		if got := colours(func(name string) string { return environment[name] }); got != c.want {
			t.Errorf("NO_COLOR=%q TERM=%q: colours %t, want %t", c.noColor, c.term, got, c.want)
		}
	}
}
