package main

import (
	"strings"
	"testing"
)

// TestDepthsHoles takes things out of what depths.yaml must hold.
func TestDepthsHoles(t *testing.T) {
	if err := sourcesTold(depthsNotes{}); err == nil || !strings.Contains(err.Error(), `source "configz" must stand there once`) {
		t.Errorf("no source told: %v", err)
	}
	err := testsThere(depthsNotes{Threats: []threat{
		{Who: "a node", Tries: "nothing", Gets: "nothing"},
		{Who: "a node", Tries: "something", Gets: "nothing", Tests: []string{"../../pkg/agent TestResultIsBounded", "../../pkg/agent TestThatNobodyWrote"}},
	}})
	if err == nil || !strings.Contains(err.Error(), `a threat needs who, tries, gets and tests: "nothing"`) || !strings.Contains(err.Error(), "there is no test ../../pkg/agent TestThatNobodyWrote") ||
		strings.Contains(err.Error(), "TestResultIsBounded") {
		t.Errorf("%v", err)
	}
}
