package main

import "waybill"

// The events of the shop. Each is a type, so that a misspelt name or a forgotten
// property is a compile error, and each names its action: the key is made of the
// shop's own ids, never of a random number or the time.

// OrderCompleted is an order that was paid for.
type OrderCompleted struct {
	OrderID    string
	TotalCents int
}

// AsEvent implements [waybill.Trackable].
func (e OrderCompleted) AsEvent() waybill.Event {
	return waybill.Event{
		Name: "Order_Completed", Key: "order:" + e.OrderID + ":completed", Version: "1.0",
		Properties: waybill.Properties{"order_id": e.OrderID, "total_cents": e.TotalCents},
		Revenue:    waybill.Revenue{Amount: float64(e.TotalCents) / 100, Currency: "EUR"},
	}
}

// PlanChanged is a customer who moved to another plan. Change counts the
// customer's changes: moving to the same plan again is another action.
type PlanChanged struct {
	CustomerID string
	Change     int
	Plan       string
}

// AsEvent implements [waybill.Trackable].
func (e PlanChanged) AsEvent() waybill.Event {
	return waybill.Event{
		Name: "Plan_Changed", Key: numbered("customer:"+e.CustomerID+":plan_changed", e.Change), Version: "1.0",
		Properties: waybill.Properties{"plan": e.Plan},
	}
}

// CustomerSignedUp is a new customer.
type CustomerSignedUp struct {
	CustomerID string
}

// AsEvent implements [waybill.Trackable].
func (e CustomerSignedUp) AsEvent() waybill.Event {
	return waybill.Event{Name: "Customer_Signed_Up", Key: "customer:" + e.CustomerID + ":signed_up", Version: "1.0"}
}

// ProductViewed is a look at a product. View names it, because the same product may
// be looked at again.
type ProductViewed struct {
	View      string
	ProductID string
}

// AsEvent implements [waybill.Trackable].
func (e ProductViewed) AsEvent() waybill.Event {
	return waybill.Event{
		Name: "Product_Viewed", Key: "view:" + e.View, Version: "1.0",
		Properties: waybill.Properties{"product_id": e.ProductID},
	}
}
