SELECT spec FROM chaos.action;
