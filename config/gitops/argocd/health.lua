-- The health of Claviger's kinds, for Argo CD. One script for all four: they tell how they are in the same conditions.
local hs = {status = "Progressing", message = "Claviger has not looked at it yet"}
if obj.metadata.deletionTimestamp ~= nil then
  hs.message = "It is being deleted"
  return hs
end

-- A status that speaks of another spec than this one says nothing.
local status = obj.status or {}
if status.observedGeneration ~= obj.metadata.generation then
  return hs
end
local is = {}
for _, condition in ipairs(status.conditions or {}) do
  is[condition.type] = condition
end

-- Nothing but a person's change can help.
if is.Stalled ~= nil and is.Stalled.status == "True" then
  hs.status = "Degraded"
  hs.message = is.Stalled.reason .. ": " .. is.Stalled.message
  return hs
end

-- What it waits for may come by itself.
if is.Ready == nil then
  return hs
end
if is.Ready.status ~= "True" then
  hs.message = is.Ready.reason .. ": " .. is.Ready.message
  return hs
end

-- From here on it is as it was asked to be. What somebody stopped and may let go on is Suspended; what ended is not.
hs.status = "Healthy"
hs.message = is.Ready.message
local stopped = {Disabled = true, Suspended = true, WorkspaceSuspended = true, ServiceAccountSuspended = true}
if is.Active ~= nil then
  hs.message = is.Active.message
  if is.Active.status == "False" and stopped[is.Active.reason] then
    hs.status = "Suspended"
  end
end

-- What a person should know, though it is no fault.
for _, advice in ipairs({"NearExpiry", "Unused", "PreviousKeyInUse", "LegacyKeys"}) do
  if is[advice] ~= nil and is[advice].status == "True" then
    hs.message = hs.message .. ". " .. is[advice].message
  end
end
return hs
