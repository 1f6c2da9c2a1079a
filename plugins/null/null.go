// Package null holds a plugin of each kind that does next to nothing. What a
// run with them takes is the cost of the harness itself; reports print it in
// their footer.
package null

import "bittern/plugins"

// Name is what all three are called.
const Name = "null"

func describe(kind plugins.Kind, summary string) plugins.Description {
	return plugins.Description{Kind: kind, Name: Name, Version: "1.0.0", API: plugins.APIVersion, Summary: summary}
}
