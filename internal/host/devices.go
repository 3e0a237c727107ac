package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// cudaDevices is the variable that tells CUDA which GPUs a process may use.
const cudaDevices = "CUDA_VISIBLE_DEVICES"

// deviceFiles matches one file for each GPU that the NVIDIA driver shows in this container.
const deviceFiles = "/dev/nvidia[0-9]*"

// RunnerDevices returns CUDA_VISIBLE_DEVICES of each runner: chosen, the value of
// --runner-devices, or else the devices of the server shared out among several runners. It returns
// nil if the variable needs no change.
func RunnerDevices(chosen string, runners int) ([]string, error) {
	if chosen != "" {
		devices := strings.Split(chosen, ";")
		if len(devices) != runners {
			return nil, fmt.Errorf("--runner-devices names the devices of %d runners "+
				"and --runners is %d: "+
				"write them as in '0;1;2,3', one list for each runner", len(devices), runners)
		}
		return devices, nil
	}
	if runners == 1 {
		return nil, nil
	}
	return spreadDevices(visibleDevices(), runners), nil
}

// visibleDevices returns the GPUs that this server may use, in the words of CUDA_VISIBLE_DEVICES.
func visibleDevices() []string {
	if text, set := os.LookupEnv(cudaDevices); set {
		if text == "" || strings.HasPrefix(text, "-") { // these values switch the GPUs off
			return nil
		}
		return strings.Split(text, ",")
	}
	files, _ := filepath.Glob(deviceFiles) // the pattern is valid
	devices := make([]string, len(files))
	for i := range files {
		// CUDA counts the devices that it sees, whatever the names of their files.
		devices[i] = strconv.Itoa(i)
	}
	return devices
}

// spreadDevices gives neighboring devices to the same runner, because they are often linked. With
// fewer devices than runners, it assigns them in turn.
func spreadDevices(devices []string, runners int) []string {
	n := len(devices)
	if n == 0 {
		return nil
	}
	spread := make([]string, runners)
	for i := range spread {
		if n < runners {
			spread[i] = devices[i%n]
		} else {
			spread[i] = strings.Join(devices[i*n/runners:(i+1)*n/runners], ",")
		}
	}
	return spread
}
