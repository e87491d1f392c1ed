-- 16 GETs in one write, and the next 16 when all of them are answered.
local batch

init = function(args)
   batch = string.rep(wrk.format(), 16)
end

request = function()
   return batch
end
