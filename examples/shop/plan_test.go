package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/shop/internal/stack"
)

// TestThePlanHolds is the gate that an application puts before every merge. It needs no
// network, no key and no database.
func TestThePlanHolds(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"lint", "gen --check", "audit -q ./..."} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), stack.Program(t, "plan"), strings.Fields(command)...).CombinedOutput()
			require.NoErrorf(t, err, "plan %s: %s", command, out)
		})
	}
}

// names are what the plan knows something by.
type names struct {
	status     map[string]string // of events, by each of their names
	properties map[string]bool
	traits     map[string]bool // "user.team_size"
	values     map[string]bool // of properties and traits
	groups     map[string]bool
}

// compiled reads the plan that workers are given.
func compiled(t *testing.T) names {
	t.Helper()
	text, err := os.ReadFile("plan/generated/plan.json")
	require.NoError(t, err)
	var plan struct {
		Groups []struct{ Type string }
		Events []struct {
			Name, Status string
			Aliases      []string
			Home         []string
			Schema       struct {
				Properties map[string]struct{ Enum []any }
			}
		}
		Traits []struct {
			Subject, Name string
			Schema        struct{ Enum []any }
		}
	}
	require.NoError(t, json.Unmarshal(text, &plan))
	n := names{map[string]string{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	known := func(values []any) {
		for _, v := range values {
			if text, ok := v.(string); ok {
				n.values[text] = true
			}
		}
	}
	for _, e := range plan.Events {
		for _, name := range append(e.Aliases, e.Name) {
			n.status[name] = e.Status
		}
		for _, name := range e.Home {
			n.properties[name] = true
		}
		for name, p := range e.Schema.Properties {
			n.properties[name] = true
			known(p.Enum)
		}
	}
	for _, trait := range plan.Traits {
		n.traits[trait.Subject+"."+trait.Name] = true
		known(trait.Schema.Enum)
	}
	for _, g := range plan.Groups {
		n.groups[g.Type] = true
	}
	return n
}

// TestTheCatalogueIsComplete: everything that the teams behind this plan have ever
// called by a name has its place in it, under that name or as an alias.
func TestTheCatalogueIsComplete(t *testing.T) {
	t.Parallel()
	plan := compiled(t)
	for status, list := range map[string]string{
		"live": `
			signup_completed user.signup_completed user_logged_in payment_succeeded checkout_started plan_upgraded Plan_Upgraded
			attendance_marked account_rechurned template_created template_used allocation_rule_changed crm_field_changed
			search_performed Search_Performed SEARCH_EXECUTED detail_viewed filter_applied call_started call_ended crm_activity_summarized
			user_discovered persona_selected message_sent_user integration_connected integration_disconnected
			feature_used test_event page_viewed element_clicked scroll_depth_reached`,
		"ready": `
			Report_Created Teammate_Invited Task_Completed Task_Created Workspace_Settings_Updated
			message_sent_companion conversation_started conversation_ended
			memory_created memory_retrieved memory_forgotten boundary_set relationship_stage_changed
			superpower_triggered superpower_result_sent superpower_accepted superpower_rejected superpower_enabled superpower_disabled
			llm_request_started llm_request_completed message_delivery_failed superpower_error oauth_refresh_failed`,
		"planned": `phone_verification_completed invoice_paid subscription_canceled`,
	} {
		for _, name := range strings.Fields(list) {
			require.Equal(t, status, plan.status[name], name)
		}
	}
	for _, name := range []string{"Search Performed", "user performed search"} {
		require.Equal(t, "live", plan.status[name], name)
	}
	every := func(of map[string]bool, list string) {
		for _, name := range strings.Fields(list) {
			require.True(t, of[name], name)
		}
	}
	every(plan.traits, `
		user.signup_date user.team_size user.primary_channel user.primary_persona user.total_messages_sent
		user.total_messages_received user.calendar_connected user.gmail_connected user.plan_tier
		user.superpowers_enabled_count user.relationship_stage
		account.name account.plan_tier account.team_size account.created_at workspace.name project.name`)
	// What was called participants, text and metadata leaves as a count and a length.
	every(plan.properties, `
		feature_name success phone chat_guid channel persona_id mode participants_count text_length detected_intent
		model prompt_type prompt_tokens completion_tokens total_tokens cached_tokens cost_usd latency_ms status
		conversation_history_messages memories_included error_type test user_id
		utm_source utm_medium utm_campaign referrer landing_page attribution_status`)
	every(plan.values, `imessage telegram sage echo vex friend best_friend calendar gmail direct success known unknown`)
	every(plan.groups, `account workspace project`)

	// These were traits of users once. Who a user is stays here.
	require.NotContains(t, plan.traits, "user.email")
	require.NotContains(t, plan.traits, "user.name")
}
