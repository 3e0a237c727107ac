package host

import (
	"slices"
	"strings"
	"testing"
)

func TestRunnerDevices(t *testing.T) {
	tests := []struct {
		name, chosen, visible string
		runners               int
		want                  []string
	}{
		{"as chosen", "0;1;2,3", "7", 3, []string{"0", "1", "2,3"}},
		{"one runner sees what the server sees", "", "0,1", 1, nil},
		{"neighbors stay together", "", "0,1,2,3", 2, []string{"0,1", "2,3"}},
		{"uneven", "", "0,1,2", 2, []string{"0", "1,2"}},
		{"shared in turn", "", "4,5", 3, []string{"4", "5", "4"}},
		{"switched off by an empty value", "", "", 2, nil},
		{"switched off by -1", "", "-1", 2, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(cudaDevices, test.visible)
			got, err := RunnerDevices(test.chosen, test.runners)
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestRunnerDevicesForAnotherNumberOfRunnersNamesBothFlags(t *testing.T) {
	_, err := RunnerDevices("0;1", 3)
	if err == nil || !strings.Contains(err.Error(), "--runner-devices names the devices of 2 runners and --runners is 3") {
		t.Error(err)
	}
}
