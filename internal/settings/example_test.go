package settings_test

import (
	"errors"
	"fmt"

	"waybill/internal/settings"
)

// A worker asks for everything it needs before it reports, so that its operator mends the environment once.
func Example() {
	environ := []string{"ANALYTICS_ENV=production", "ANALYTICS_MODE=deliver", "AMPLITUDE_REGOIN=eu"} // os.Environ()

	s, err := settings.Load(environ)
	decision, undecided := s.Decide()
	if err := errors.Join(err, s.RequireDatabase(), undecided); err != nil {
		fmt.Println(err) // and exit with code 3
		return
	}
	fmt.Println(decision.Mode)
	// Output:
	// AMPLITUDE_REGOIN: is not a setting of Waybill
	//     did you mean AMPLITUDE_REGION? Otherwise remove it
	// DATABASE_URL: is not set
	//     set postgres://user:password@host:5432/database
	// AMPLITUDE_API_KEY: is not set, but ANALYTICS_MODE is deliver
	//     set the key, or unset ANALYTICS_MODE to hold until there is one
}
