package checked

import (
	"fmt"

	"bittern/plugins"
)

// Description returns an error if a description cannot be shown because the bound of an option
// is not a finite number.
func Description(d plugins.Description) error {
	for _, o := range d.Options {
		if !finite(o.Min) || !finite(o.Max) {
			return fmt.Errorf("the option %s has the bounds %v and %v", o.Name, o.Min, o.Max)
		}
	}
	return nil
}
