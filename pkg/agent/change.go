package agent

import (
	"encoding/json"
	"fmt"

	"github.com/kubectl-netdoctor/netdoctor/pkg/facts"
)

// Change is what a pod is told to do to its node, as JSON in an environment variable: to
// read a setting, or to write it where it is still what it was when it was read.
type Change struct {
	Setting facts.Setting `json:"setting"` // with the value that it must have now
	To      *string       `json:"to,omitempty"`
	Write   bool          `json:"write,omitempty"`
}

// ChangeVariable holds the Change of a pod.
const ChangeVariable = "NETDOCTOR_CHANGE"

// Changed is what became of a Change.
type Changed struct {
	Now *string `json:"now,omitempty"` // the setting's value; nil where it is not there

	// Refused says why nothing was written, or why what was written was put back: the node
	// is as it was.
	Refused string `json:"refused,omitempty"`

	// Broken says what was left half done.
	Broken string `json:"broken,omitempty"`

	// Differs says that the setting was not what it must be; nothing was written.
	Differs bool `json:"differs,omitempty"`
}

// ParseChange reads a change, and refuses one that is none of a repair's.
func ParseChange(text string) (Change, error) {
	var c Change
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return c, fmt.Errorf("%s: %w", ChangeVariable, err)
	}
	if !c.Setting.Valid() || !c.Setting.With(c.To).Valid() {
		return c, fmt.Errorf("%s: no repair changes %q", ChangeVariable, c.Setting.Key())
	}
	return c, nil
}
