package conformance

import "time"

// SetLimit sets how long a check may take.
func (g *Group) SetLimit(limit time.Duration) { g.limit = limit }
