package fixes

import "testing"

func TestSetJSON(t *testing.T) {
	got, err := setJSON("{ \"Network\" :\t\"10.0.0.0/8\",\n\"B\": 1}", "Network", "10.1.0.0/16")
	if want := "{ \"Network\" :\t\"10.1.0.0/16\",\n\"B\": 1}"; got != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for _, text := range []string{`{"Network": "a", "x": {"Network": "b"}}`, `{"B": 1}`, `{"Network": 5}`, `{`} {
		if got, err := setJSON(text, "Network", "c"); err == nil {
			t.Errorf("%s: got %q, want an error", text, got)
		}
	}
}
