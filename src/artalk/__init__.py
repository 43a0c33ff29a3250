"""Speech becomes a 3D head's performance: lips, expression, blinks, gaze and head pose."""
